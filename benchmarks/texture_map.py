"""The emphysema map of a whole chest CT: what it takes, stage by stage.

Prints one JSON document. The path is the product's (``scanlearn predict`` with a
texture run), from the scan in its files to the map and the table on disk. Times are
process CPU time on one thread. Exact mode and the plain loop are timed on the same
sample of windows, in turns, and multiplied by the number of windows with lung, which is
said in the result. What is learned plays no part in speed: the classifier is random.

The two runs are pre-trainings, also untrained ones: ``scanlearn pretrain COHORT
--preset standard --minutes 0``, and with ``-s encoder.architecture=dense``.

Example: python benchmarks/texture_map.py SCAN --dense RUN --exact RUN
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from dense import in_bf16, plain_loop
from scanlearn.anatomy.lungs import lung_mask
from scanlearn.config.segmentation import ClassConfig
from scanlearn.engine.devices import choose_device
from scanlearn.features.linear import LinearModel
from scanlearn.features.patch_describer import EncoderDescriber
from scanlearn.prediction.result_files import Saving
from scanlearn.prediction.sources import named_scans
from scanlearn.randomness import numpy_generator
from scanlearn.scans.read import read_scan
from scanlearn.tasks.texture.predict import save_texture_map, texture_map

STRIDE_MM = 8.0
NAMES = ("normal", "centrilobular", "paraseptal", "panlobular")
CLASSES = tuple(ClassConfig(value=n, name=name) for n, name in enumerate(NAMES, 1))


def silent(done: int, total: int) -> None:
    """Tell nobody."""


class Clock:
    """Notes the CPU seconds of stages."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def __call__(self, stage: str, work: Callable[[], Any]) -> Any:
        """Do the work of a stage."""
        begin = time.process_time()
        result = work()
        self.seconds[stage] = round(time.process_time() - begin, 2)
        return result


def classifier(dim: int) -> LinearModel:
    rng = numpy_generator(0, "texture map benchmark")
    shape = (len(CLASSES), dim)
    weight = rng.normal(size=shape).astype(np.float32)
    ones, zeros = np.ones(dim, np.float32), np.zeros(dim, np.float32)
    return LinearModel(zeros, ones, weight, np.zeros(len(CLASSES), np.float32))


def whole(source: Path, run: Path, out: Path) -> dict[str, Any]:
    """Map one scan with the dense encoder, as ``scanlearn predict`` does."""
    clock = Clock()
    ((name, entry),) = named_scans(source, "")
    describer = EncoderDescriber(run)
    scan = clock("read", lambda: read_scan(entry))
    lungs = clock("lung mask", lambda: lung_mask(scan.canonical()))
    there = clock("placed, resampled", lambda: describer.from_memory(scan))
    found = clock("encoder", lambda: describer.everywhere(there, STRIDE_MM, silent))
    model = classifier(len(found.features))
    result = clock(
        "classes on the scan's grid",
        lambda: texture_map(found, model, lungs, scan.grid, CLASSES),
    )
    saving = Saving(out, name, run=run.name)
    clock("files", lambda: save_texture_map(result, scan, entry, saving))
    return {
        "scan": list(scan.voxels.shape),
        "windows_with_lung": int(found.known.sum()),
        "seconds": clock.seconds | {"in all": round(sum(clock.seconds.values()), 2)},
    }


def exact(run: Path, windows: int, rounds: int, sample: int) -> dict[str, Any]:
    """Time exact mode and a plain loop over the same windows."""
    encoder = EncoderDescriber(run).embedder.encoder
    torch.manual_seed(0)
    x = torch.randn(sample, 1, 32, 32, 32)
    where = torch.rand(sample, 3) * 2 - 1
    jobs = {
        "plain loop": lambda: plain_loop(encoder, x, where),
        "exact fp32": lambda: encoder(x, where),
        "exact bf16": in_bf16(lambda: encoder(x, where)),
    }
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(rounds + 1):
        for name, job in jobs.items():
            begin = time.process_time()
            job()
            if number:  # the first round warms up
                times[name].append(time.process_time() - begin)
    plain, scale = times.pop("plain loop"), windows / sample
    return {
        "windows_timed": sample,
        "seconds_plain_loop_extrapolated": round(scale * median(plain), 1),
        **{
            name: {
                "seconds_extrapolated": round(scale * median(took), 1),
                "ratio_to_plain_loop": round(
                    median(p / t for p, t in zip(plain, took, strict=True)), 1
                ),
            }
            for name, took in times.items()
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scan", type=Path)
    parser.add_argument("--dense", type=Path, required=True)
    parser.add_argument("--exact", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sample", type=int, default=64)
    options = parser.parse_args()
    choose_device("cpu")
    torch.set_num_threads(1)
    with torch.inference_mode(), tempfile.TemporaryDirectory() as folder:
        mapped = whole(options.scan, options.dense, Path(folder))
        windows = mapped["windows_with_lung"]
        loop = exact(options.exact, windows, options.rounds, options.sample)
    dense_seconds = mapped["seconds"]["encoder"]
    result = {
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "stride_mm": STRIDE_MM,
        "dense encoder": mapped
        | {
            "ratio_of_encoders_to_plain_loop": round(
                loop["seconds_plain_loop_extrapolated"] / dense_seconds, 1
            )
        },
        "release's encoder": loop,
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
