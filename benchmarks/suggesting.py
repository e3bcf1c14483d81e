"""Which scans to label next: those ``suggest`` names, or any? On the hippocampus.

A pre-training sees a pool of scans without labels. In each repeat a U-Net learns from
two labelled scans of the pool; ``suggest`` names three more, and chance names three
more. From the pre-training again, for as many steps and with the same seed, one U-Net
learns from each five, and both are judged on scans outside the pool. Interrupted, it
goes on with the same command.

    python benchmarks/suggesting.py HIPPOCAMPUS --work FOLDER --out suggesting.json
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.config.segmentation import SegmentationConfig
from scanlearn.metrics.overlap import dice
from scanlearn.new_run import (
    Labels,
    finetuning_config,
    labels_for,
    new_finetuning,
    new_pretraining,
    pretraining_config,
)
from scanlearn.pretraining.registry import method_named, method_of
from scanlearn.randomness import numpy_generator
from scanlearn.runs.events import Crashed
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.registry import task_named, task_of
from scanlearn.tasks.segmentation.labels import collect_maps
from scanlearn.tasks.segmentation.segmenter import segmenter_of
from scanlearn.tasks.shared.suggestion import suggest
from scanlearn.worker import train_run

KNOWN, MORE = 2, 3
ENGINE = {"device": "cpu", "threads": 1, "save_every": 1000}


def cohort_of(data: Path, names: list[str], folder: Path) -> Path:
    """Prepare some scans; made once."""
    scans, cohort = folder / "scans", folder / "cohort"
    if not cohort.exists():
        scans.mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copyfile(data / "images" / name, scans / name)
        prepare(scans, cohort, PrepareConfig(spacing_mm=1.0, workers=0))
    return cohort


def trained(run: RunFolder) -> RunFolder:
    last = list(train_run(run))[-1]
    if isinstance(last, Crashed):
        raise SystemExit(last.error)
    return run


def pretrained(cohort: Path, path: Path, steps: int) -> Path:
    """Pre-train on the pool; made once."""
    if not path.exists():
        draft = path.with_name("pretraining")
        shutil.rmtree(draft, ignore_errors=True)
        config = pretraining_config(
            [cohort],
            method=method_named("drasclr"),
            preset_name="quick",
            changes={"engine": ENGINE | {"steps": steps, "validate_every": steps}},
        )
        trained(new_pretraining(method_of(config), config, draft)).path.rename(path)
    return path


class Repeat:
    """One draw of the two first scans, and both choices of the next three."""

    def __init__(self, number: int, asked: argparse.Namespace, places: Any) -> None:
        self.number, self.asked = number, asked
        self.pool, self.tests, self.start = places
        self.folder = asked.work / f"repeat_{number}"
        shutil.rmtree(self.folder, ignore_errors=True)

    def scores(self) -> dict[str, Any]:
        """Train, choose and train again; returns the Dice of each."""
        config = finetuning_config(
            [self.pool],
            task=task_named("segmentation"),
            preset_name="quick",
            start_from=self.start,
            changes={
                "recipe": {"batch": 4, "validation": 0.0},
                "engine": ENGINE | {"steps": self.asked.steps, "seed": self.number},
            },
        )
        labels = labels_for(task_of(config), config, self.asked.data / "labels")
        rng = numpy_generator(0, "suggesting", self.number)
        order = [str(key) for key in rng.permutation(sorted(labels.patient_keys))]
        known, rest = order[:KNOWN], order[KNOWN:]
        first = self._trained("first", config, labels, known)
        named = [
            s.patient
            for s in suggest(task_of(first.config()), first, self.pool, count=MORE)
        ]
        found: dict[str, Any] = {"two": self._dice(first)}
        for arm, more in (("suggested", named), ("random", rest[:MORE])):
            run = self._trained(arm, config, labels, [*known, *more])
            found[arm] = self._dice(run)
        found["shared"] = len(set(named) & set(rest[:MORE]))
        shutil.rmtree(self.folder)
        return found

    def _trained(
        self, name: str, config: Any, labels: Labels, patients: list[str]
    ) -> RunFolder:
        run = new_finetuning(config, labels.of(patients), self.folder / name)
        return trained(run)

    def _dice(self, run: RunFolder) -> float:
        """Return the mean Dice of the classes over the scans outside the pool."""
        cohort, segmenter = Cohort(self.tests), segmenter_of(run.path)
        truth = collect_maps(self.asked.data / "labels", cohort, SegmentationConfig())
        found = []
        for item in truth.items:
            guess = segmenter.segment(cohort.scan(item.scan)).labels
            true = item.read()
            found += [dice(true == value, guess == value) for value in truth.names]
        return float(np.nanmean(found))


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return means and the paired gain with its 95 % interval (Student's t)."""
    gains = np.array([row["suggested"] - row["random"] for row in rows])
    half = 0.0
    if len(gains) > 1:
        half = float(stats.t.ppf(0.975, len(gains) - 1) * stats.sem(gains))
    names = ("two", "random", "suggested")
    mean = float(gains.mean())
    return {
        "mean_dice": {n: round(float(np.mean([r[n] for r in rows])), 4) for n in names},
        "gain": [round(x, 4) for x in (mean, mean - half, mean + half)],
        "better": int((gains > 0).sum()),
        "repeats": len(rows),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=6)
    parser.add_argument("--pool", type=int, default=40)
    parser.add_argument("--tests", type=int, default=12)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--pretraining-steps", type=int, default=100)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    os.environ["SCANLEARN_HOME"] = str(asked.work / "home")
    files = sorted(path.name for path in (asked.data / "images").glob("*.nii.gz"))
    order = [str(n) for n in numpy_generator(0, "suggesting").permutation(files)]
    pool = cohort_of(asked.data, order[: asked.pool], asked.work / "pool")
    rest = order[asked.pool : asked.pool + asked.tests]
    tests = cohort_of(asked.data, rest, asked.work / "tests")
    steps = asked.pretraining_steps
    start = pretrained(pool, asked.work / "pretrained", steps) if steps else None
    about = {
        name: getattr(asked, name)
        for name in ("pool", "tests", "steps", "pretraining_steps")
    }
    rows: list[dict[str, Any]] = []
    if asked.out.exists():
        rows = json.loads(asked.out.read_text("utf-8"))["rows"]
    for number in range(len(rows), asked.repeats):
        begin = time.process_time()
        row = Repeat(number, asked, (pool, tests, start)).scores()
        rows.append(row | {"cpu_seconds": round(time.process_time() - begin, 1)})
        document = {**about, **summary(rows), "rows": rows}
        asked.out.write_text(json.dumps(document, indent=1))
        print(rows[-1], summary(rows), flush=True)


if __name__ == "__main__":
    main()
