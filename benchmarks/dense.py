"""Feature maps of a whole volume: both dense modes against plain windows.

Prints one JSON document. Times are process CPU time on one thread; rounds are
interleaved and ratios are medians of the ratios within rounds. Windows are timed on a
sample and multiplied by their number, which is said in the result; the whole-volume
pass is timed whole. Encoders are untrained: speed does not depend on the weights.

Example: python benchmarks/dense.py --size 300 --rounds 3
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from scanlearn.engine.devices import choose_device
from scanlearn.nets.dense_encoder import STRIDE, DenseEncoder, LocationMap
from scanlearn.nets.location_encoder import LocationEncoder

PATCH = 32


def seconds(work: Callable[[], Any]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def plain_loop(encoder: LocationEncoder, x: Tensor, where: Tensor) -> Tensor:
    """Encode one patch after another, mixing every kernel for each of them."""
    rows = []
    for patch, location in zip(x, where, strict=True):
        h = patch[None]
        for layer in encoder.layers:
            gates = torch.sigmoid(layer.conv.routing(location))
            kernel = (gates.view(-1, 1, 1, 1, 1, 1) * layer.conv.weight).sum(dim=0)
            stride = layer.conv.stride
            h = F.conv3d(h, kernel, layer.conv.bias, stride=stride, padding=1)
            h = F.elu(layer.norm(h))
        rows.append(h.flatten())
    return torch.stack(rows)


def rounds_of(
    jobs: dict[str, Callable[[], Any]], rounds: int
) -> dict[str, list[float]]:
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(rounds + 1):
        for name, job in jobs.items():
            took = seconds(job)
            if number:  # the first round warms up
                times[name].append(took)
    return times


def ratio(slow: list[float], fast: list[float], factor: float = 1.0) -> float:
    return round(median(factor * s / f for s, f in zip(slow, fast, strict=True)), 1)


def in_bf16(work: Callable[[], Any]) -> Callable[[], Any]:
    def run() -> Any:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return work()

    return run


def exact(rounds: int, sample: int) -> dict[str, Any]:
    """Time the release's encoder on windows that all have a location of their own."""
    torch.manual_seed(0)
    encoder = LocationEncoder().eval()
    x = torch.randn(sample, 1, PATCH, PATCH, PATCH)
    where = torch.rand(sample, 3) * 2 - 1
    jobs = {
        "plain": lambda: plain_loop(encoder, x, where),
        "fp32": lambda: encoder(x, where),
        "bf16": in_bf16(lambda: encoder(x, where)),
    }
    expected, found, rounded = (job().float() for job in jobs.values())
    times = rounds_of(jobs, rounds)
    return {
        "windows_timed": sample,
        "ms_a_window": {
            name: round(1000 * median(t) / sample, 2) for name, t in times.items()
        },
        "ratio_to_plain_loop": {
            name: ratio(times["plain"], times[name]) for name in ("fp32", "bf16")
        },
        "max_difference_fp32": float((expected - found).abs().max()),
        "least_cosine_bf16": float(F.cosine_similarity(expected, rounded).min()),
    }


def dense(rounds: int, sample: int, size: int) -> dict[str, Any]:
    """Time the dense encoder: one pass of a volume, and its windows in batches."""
    torch.manual_seed(0)
    encoder = DenseEncoder(voxel_step=(2 / size,) * 3).eval()
    side = encoder.window
    # The map covers the volume, so the volume brings half a window along.
    volume = torch.randn((size + side - 1,) * 3)
    places = LocationMap(torch.full((1, 3), -1.0), encoder.axes)
    count = ((volume.shape[0] - side) // STRIDE + 1) ** 3
    cells = torch.randint(0, round(count ** (1 / 3)), (sample, 3))
    windows = torch.stack(
        [
            volume[a : a + side, b : b + side, c : c + side]
            for a, b, c in (cells * STRIDE).tolist()
        ]
    )[:, None]
    middles = cells * STRIDE + (side - 1) / 2
    centres = places.origin + (places.axes @ middles[:, :, None])[:, :, 0]
    jobs = {
        "windows_fp32": lambda: encoder(windows, centres),
        "volume_fp32": lambda: encoder.feature_map(volume, places),
        "windows_bf16": in_bf16(lambda: encoder(windows, centres)),
        "volume_bf16": in_bf16(lambda: encoder.feature_map(volume, places)),
    }
    whole = encoder.feature_map(volume, places)
    there = whole[:, cells[:, 0], cells[:, 1], cells[:, 2]].T
    difference = float((there - encoder(windows, centres)).abs().max())
    times = rounds_of(jobs, rounds)
    share = count / sample
    return {
        "volume": [size] * 3,
        "windows": count,
        "windows_timed": sample,
        "seconds_windows_extrapolated": {
            kind: round(share * median(times[f"windows_{kind}"]), 1)
            for kind in ("fp32", "bf16")
        },
        "seconds_volume": {
            kind: round(median(times[f"volume_{kind}"]), 2) for kind in ("fp32", "bf16")
        },
        "ratio_to_batched_windows": {
            kind: ratio(times[f"windows_{kind}"], times[f"volume_{kind}"], share)
            for kind in ("fp32", "bf16")
        },
        "max_difference": difference,
        "spread_of_features": float(whole.std()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sample", type=int, default=64)
    options = parser.parse_args()
    choose_device("cpu")  # memory is kept as in the product, for all variants
    torch.set_num_threads(1)
    with torch.inference_mode():
        result = {
            "machine": platform.processor() or platform.machine(),
            "torch": torch.__version__,
            "rounds": options.rounds,
            "dense_encoder": dense(options.rounds, options.sample, options.size),
            "exact_mode": exact(options.rounds, options.sample),
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
