"""Planned segmentations of ``mr_segmentation.py``: as ``scanlearn finetune`` does it.

No settings are chosen here: the plan is that of the cohort and the labels. The arm
*plain* learns from the labelled patients, *unlabelled* from the other scans of the
pool, too. The patients of the test are excluded from the cohort that is learned from.
An interrupted training goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from mr_cohorts import heart, hippocampus
from scanlearn.app import train_run
from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.offer import PLANNED
from scanlearn.config.run import RunConfig
from scanlearn.files import write_text
from scanlearn.metrics.overlap import dice
from scanlearn.new_run import finetuning_config, labels_for, new_finetuning
from scanlearn.randomness import numpy_generator
from scanlearn.runs.events import Finished, Saved
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.registry import task_named
from scanlearn.tasks.segmentation.segmenter import segmenter_of
from scanlearn.tasks.shared.label_set import LabelSet
from scanlearn.tasks.task import PlanRequest

TASK = task_named("segmentation")


@dataclass(frozen=True)
class PlannedSetup:
    """Which scans, how many labels, how many patients to test on."""

    cohort: Callable[[Path, Path], tuple[Path, Path]]
    labels: tuple[int, ...]
    tests: int


PLANNED_SETUPS = {
    "heart, planned": PlannedSetup(heart, labels=(1, 3, 6), tests=12),
    "hippocampus, planned": PlannedSetup(hippocampus, labels=(5, 2, 20, 10), tests=40),
}

ARMS = {"plain": False, "unlabelled": True}


class PlannedStudy:
    """One set-up, piece by piece.

    Parameters
    ----------
    name
        Of :data:`PLANNED_SETUPS`.
    options
        ``data``, ``work`` and ``threads``.
    results
        Folder of the pieces.
    """

    def __init__(self, name: str, options: argparse.Namespace, results: Path) -> None:
        self.name, self.setup = name, PLANNED_SETUPS[name]
        self.threads, self.results = options.threads, results
        torch.set_num_threads(options.threads)
        self.work, self.file = options.work / "planned", name.replace(", ", "_")
        self.cohort, source = self.setup.cohort(options.data, self.work)
        cohort = Cohort(self.cohort)
        for key in cohort.keys(excluded=True):
            cohort.include(key)
        labels = labels_for(TASK, self._config("plain", 0, None), source)
        assert isinstance(labels, LabelSet)
        self.labels = labels
        known = sorted(set(self.labels.patient_keys))
        order = [str(key) for key in numpy_generator(0, "test").permutation(known)]
        self.tests, self.pool = order[: self.setup.tests], order[self.setup.tests :]
        for record in cohort.records():
            if record.patient in self.tests:
                cohort.exclude(record.key, "of the test")

    def piece(self, arm: str, labels: int, seed: int) -> None:
        """Make a piece and write its file, unless that is there."""
        path = self.results / f"{self.file}_{arm}_{labels:02d}_seed{seed}.json"
        if path.exists():
            return
        order = numpy_generator(seed, "order").permutation(self.pool)
        some = self.labels.of([str(key) for key in order[:labels]])
        folder = self.work / "runs" / path.stem
        if (folder / "config.yaml").exists():
            run = RunFolder(folder)
        else:
            run = new_finetuning(self._config(arm, seed, some), some, folder)
        seconds = self._trained(run)
        scores = self._measured(run)
        mean = torch.tensor(scores).nanmean()
        print(f"{path.stem}: {mean:.3f} in {seconds:.0f} CPU s", flush=True)
        config = run.config()
        piece = {
            "setup": self.name,
            "arm": arm,
            "labels": labels,
            "seed": seed,
            "classes": list(self.labels.names.values()),
            "points": {config.engine.steps: scores},
            "cpu_minutes": round(seconds / 60, 2),
            "recipe": config.recipe.model_dump(mode="json"),
            "versions": {name: version(name) for name in ("torch", "monai")},
        }
        self.results.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(piece))
        shutil.rmtree(folder)

    def _config(self, arm: str, seed: int, labels: LabelSet | None) -> RunConfig:
        changes = {
            "recipe": {"unlabelled": ARMS[arm]},
            "engine": {"seed": seed, "threads": self.threads, "device": "cpu"},
        }
        plan = TASK.plan(PlanRequest(self.cohort, changes=changes, labels=labels))
        return finetuning_config(
            [self.cohort],
            task=TASK,
            preset_name=PLANNED,
            start_from=None,
            changes=changes,
            plan=plan,
        )

    def _trained(self, run: RunFolder) -> float:
        """Train to the end from where it is; returns the CPU seconds of all goes."""
        told = run.path / "cpu_seconds.json"
        before = json.loads(told.read_text("utf-8")) if told.exists() else 0.0
        began = time.process_time()
        last = run.last_event()
        if not isinstance(last, Finished):
            for last in train_run(run, TASK):
                if isinstance(last, Saved):
                    spent = before + time.process_time() - began
                    write_text(told, json.dumps(spent))
        if not isinstance(last, Finished):
            raise SystemExit(getattr(last, "details", f"{run.name}: stopped"))
        return float(json.loads(told.read_text("utf-8")))

    def _measured(self, run: RunFolder) -> list[list[float]]:
        """Return the Dice of each class in the test patients, mean of their scans."""
        segmenter, cohort = segmenter_of(run.path), Cohort(self.cohort)
        found: dict[str, list[list[float]]] = {}
        for item in self.labels.of(self.tests).items:
            guess, truth = segmenter.segment(cohort.scan(item.scan)).labels, item.read()
            row = [dice(truth == v, guess == v) for v in self.labels.names]
            found.setdefault(item.patient, []).append(row)
        # In the order of patients, who are not named.
        means = [torch.tensor(found[key]).nanmean(dim=0) for key in sorted(found)]
        return [[round(x, 4) for x in mean.tolist()] for mean in means]
