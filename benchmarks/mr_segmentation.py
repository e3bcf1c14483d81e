"""Few labels in MR: segmentation from scratch and from a pre-training, as curves.

Scans are prepared, an encoder is pre-trained on all of them without labels, and the
same U-Net is fine-tuned on a few labelled patients twice: from that encoder, and from
its untrained twin (the same network at the same places, new weights). Both do as many
updates on the same patients with the same settings; on the way and at the end, Dice is
measured on the scans' own grid in patients who are in no training.

Every (set-up, arm, labels, seed) is a piece with a file of its own in
``benchmarks/results/mr_segmentation/``; pieces that are there are not made again. A
seed draws the order of the labelled patients (fewer labels are the first of more), the
weights, tiles and views; the pre-training and the test patients are the same for all
pieces of one machine (patients are drawn by their keys, which depend on its salt).
At the end the table in ``docs/segmentation_evidence.md`` is made of all pieces.

``heart, planned`` and the like are trained as ``mr_planned.py`` says: with the plan of
the cohort, from scratch, and with its scans without labels.

Example: python benchmarks/mr_segmentation.py ~/data --setups hippocampus --seeds 3
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from mr_cohorts import heart, hippocampus
from mr_planned import ARMS, PLANNED_SETUPS, PlannedStudy
from mr_table import write_page
from scanlearn.cohort.catalogue import Cohort
from scanlearn.comparison.untrained import write_untrained
from scanlearn.config.run import merge
from scanlearn.files import write_text
from scanlearn.metrics.overlap import dice
from scanlearn.new_run import (
    finetuning_config,
    labels_for,
    new_finetuning,
    new_pretraining,
    pretraining_config,
)
from scanlearn.pretraining.registry import method_of
from scanlearn.randomness import numpy_generator
from scanlearn.runs.events import Crashed, Finished, Health, Saved
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.registry import task_named, task_of
from scanlearn.tasks.segmentation.segmenter import segmenter_of
from scanlearn.tasks.shared.label_set import LabelSet
from scanlearn.worker import train_run

RESULTS = Path(__file__).parent / "results" / "mr_segmentation"

Settings = dict[str, Any]
#: Dice of each class, of one patient after another.
Scores = list[list[float]]


@dataclass(frozen=True)
class Setup:
    """Which scans, which pre-training, which fine-tuning, measured when and on whom."""

    cohort: Callable[[Path, Path], tuple[Path, Path]]
    method: str
    pretraining: Settings
    finetuning: Settings
    points: tuple[int, ...]
    labels: tuple[int, ...]
    tests: int
    #: Of the test patients, at all points but the last.
    tests_before: int
    preset: str = "quick"
    arms: tuple[str, ...] = field(default=("scratch", "pretrained"))


SETUPS: dict[str, Setup] = {
    # Crops of one structure: locations are those of the field of view, and an MR has no
    # Hounsfield units, so gamma may change.
    "hippocampus": Setup(
        cohort=hippocampus,
        method="drasclr",
        pretraining={
            "recipe": {
                "spacing_mm": 1.0,
                "encoder": {"width": 8, "knee_hu": None},
                "landmarks": {"coords": "field", "step_mm": 13.0},
                "views": {"gamma_probability": 0.5, "gamma": [0.6, 1.6]},
                "batch": 32,
                "clean_batches": 4,
            },
            "engine": {"steps": 150, "validate_every": 50},
        },
        finetuning={},
        points=(60, 150, 300, 800),
        labels=(5, 2, 20, 10),
        tests=40,
        tests_before=12,
        preset="mr",
    ),
    "hippocampus, slices": Setup(
        cohort=hippocampus,
        method="joint",
        pretraining={
            "recipe": {"volume_batch": 4, "slices": 12},
            "engine": {"steps": 150, "save_every": 150},
        },
        finetuning={"recipe": {"batch": 16}, "engine": {"steps": 300}},
        points=(60, 150, 300),
        labels=(5, 2, 20, 10),
        tests=40,
        tests_before=12,
        preset="mr",
    ),
    "heart, slices": Setup(
        cohort=heart,
        method="joint",
        pretraining={
            "recipe": {"volume_batch": 4, "slices": 12},
            "engine": {"steps": 150, "save_every": 150},
        },
        finetuning={
            "recipe": {"batch": 16, "side": 96},
            "engine": {"steps": 600},
        },
        points=(60, 150, 300, 600),
        labels=(3, 1, 6),
        tests=12,
        tests_before=6,
        preset="mr",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, default=RESULTS.parent / "work" / "mr")
    every = [*SETUPS, *PLANNED_SETUPS]
    parser.add_argument("--setups", nargs="*", default=every, choices=every)
    parser.add_argument("--arms", nargs="*", help="only these, of a planned set-up")
    parser.add_argument("--labels", nargs="*", type=int, help="only these budgets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    for name in options.setups:
        study: Study | PlannedStudy
        if name in PLANNED_SETUPS:
            study, arms = PlannedStudy(name, options, RESULTS), options.arms or ARMS
        else:
            study, arms = Study(name, options), SETUPS[name].arms
        for labels in options.labels or study.setup.labels:
            for seed in range(options.seeds):
                for arm in arms:
                    study.piece(arm, labels, seed)
    write_page(RESULTS)


class Study:
    """One set-up, piece by piece."""

    def __init__(self, name: str, options: argparse.Namespace) -> None:
        self.name, self.setup, self.threads = name, SETUPS[name], options.threads
        torch.set_num_threads(options.threads)
        self.work, self.file = options.work, name.replace(", ", "_")
        self.cohort, source = self.setup.cohort(options.data, options.work)
        self.labels = labels_for(task_of(self), self._settings(None, 0), source)
        assert isinstance(self.labels, LabelSet)
        known = sorted(set(self.labels.patient_keys))
        order = [str(key) for key in numpy_generator(0, "test").permutation(known)]
        self.tests, self.pool = order[: self.setup.tests], order[self.setup.tests :]

    def piece(self, arm: str, labels: int, seed: int) -> None:
        """Make a piece and write its file, unless that is there."""
        path = RESULTS / f"{self.file}_{arm}_{labels:02d}_seed{seed}.json"
        if path.exists():
            return
        pretrained, facts = self._pretrained()
        start = pretrained.path if arm == "pretrained" else self._twin(seed)
        order = numpy_generator(seed, "order").permutation(self.pool)
        patients = [str(key) for key in order[:labels]]
        folder = self.work / "runs" / path.stem
        # A training lasts minutes: one that was interrupted begins again.
        shutil.rmtree(folder, ignore_errors=True)
        run = new_finetuning(
            self._settings(start, seed), self.labels.of(patients), folder
        )
        began, measuring, points = time.process_time(), 0.0, {}
        for event in train_run(run):
            if isinstance(event, Crashed):
                raise SystemExit(f"{path.stem}: {event.error}")
            if isinstance(event, Saved) and event.step in self.setup.points:
                before = time.process_time()
                points[event.step] = self._measured(run, event.step)
                measuring += time.process_time() - before
        if not isinstance(run.last_event(), Finished):
            raise SystemExit(f"{path.stem}: stopped")
        seconds = time.process_time() - began - measuring
        piece = {
            "setup": self.name,
            "arm": arm,
            "labels": labels,
            "seed": seed,
            "classes": list(self.labels.names.values()),
            "points": points,
            "cpu_minutes": round(seconds / 60, 2),
            "pretraining": facts,
            "recipe": run.config().recipe.model_dump(mode="json"),
            "versions": {name: version(name) for name in ("torch", "monai")},
        }
        RESULTS.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(piece))
        shutil.rmtree(folder)

    def _settings(self, start: Path | None, seed: int) -> Any:
        every = math.gcd(*self.setup.points)
        own = {
            "recipe": {"validation": 0.0},
            "engine": {"seed": seed, "threads": self.threads, "save_every": every},
        }
        return finetuning_config(
            [self.cohort],
            task=task_named("segmentation"),
            preset_name=self.setup.preset,
            start_from=start,
            changes=merge(self.setup.finetuning, own),
        )

    def _pretrained(self) -> tuple[RunFolder, Settings]:
        """Pre-train, from the last checkpoint, unless that is done."""
        path = self.work / "pretraining" / self.file
        told = path.with_suffix(".json")
        if told.exists():
            return RunFolder(path), json.loads(told.read_text("utf-8"))
        changes = merge(self.setup.pretraining, {"engine": {"threads": self.threads}})
        config = pretraining_config(
            [self.cohort],
            method=self.setup.method,
            preset_name="quick",
            changes=changes,
        )
        run = (
            RunFolder(path)
            if path.exists()
            else new_pretraining(method_of(config), config, path)
        )
        began, health = time.process_time(), None
        for event in train_run(run):
            if isinstance(event, Crashed):
                raise SystemExit(f"pre-training: {event.error}")
            health = event if isinstance(event, Health) else health
        assert isinstance(run.last_event(), Finished)
        facts = {
            "method": self.setup.method,
            "scans": len(Cohort(self.cohort).keys()),
            "steps": config.engine.steps,
            "cpu_minutes": round((time.process_time() - began) / 60, 2),
            "health": {"light": health.light, **health.values} if health else {},
        }
        write_text(told, json.dumps(facts))
        return run, facts

    def _twin(self, seed: int) -> Path:
        path = self.work / "untrained" / f"{self.file}_seed{seed}"
        if not path.exists():
            write_untrained(self._pretrained()[0].path, path, seed=seed)
        return path

    def _measured(self, run: RunFolder, step: int) -> Scores:
        """Return the Dice of each class in the test patients, mean of their scans."""
        last = step == max(self.setup.points)
        who = self.tests if last else self.tests[: self.setup.tests_before]
        segmenter, cohort = segmenter_of(run.path), Cohort(self.cohort)
        found: dict[str, list[list[float]]] = {}
        for item in self.labels.of(who).items:
            guess = segmenter.segment(cohort.scan(item.scan)).labels
            truth = item.read()
            row = [dice(truth == v, guess == v) for v in self.labels.names]
            found.setdefault(item.patient, []).append(row)
        scores = {key: torch.tensor(rows).nanmean(dim=0) for key, rows in found.items()}
        mean = torch.stack(list(scores.values())).mean()
        print(f"{run.path.name}, {step} updates: {mean:.3f}", flush=True)
        # In the order of patients, who are not named.
        return [[round(x, 4) for x in scores[key].tolist()] for key in sorted(scores)]


if __name__ == "__main__":
    main()
