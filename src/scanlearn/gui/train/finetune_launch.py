"""Starting a fine-tuning: labels into the run's inputs, then the worker."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scanlearn.config.offer import PLANNED
from scanlearn.config.run import RunConfig, merge
from scanlearn.gui.kit.background import Report
from scanlearn.gui.tasks.shared.label_panel import GatheredLabels
from scanlearn.runs import RunFolder, launch
from scanlearn.tasks.registry import task_named
from scanlearn.tasks.task import PlanRequest


@dataclass(frozen=True)
class Finetuning:
    """What the dock asks for; ``changes`` are laid over the preset.

    ``labelled`` scans there are about, and whether there is a graphics ``card``: what
    is planned depends on both.
    """

    path: Path
    cohort: Path
    task: str
    preset: str
    start_from: Path | None
    changes: Mapping[str, Any]
    labels: GatheredLabels | None
    labelled: int | None = None
    card: bool = False


def start_finetuning(plan: Finetuning, _report: Report) -> RunFolder:
    """Check labels and settings, write the run, launch its worker; slow.

    Raises
    ------
    ScanlearnError
        If labels fit no scan of the cohort, or a setting is impossible; nothing is left
        on disk then.
    """
    from scanlearn.cohort.catalogue import Cohort
    from scanlearn.new_run import labels_for, new_finetuning, planned_for_labels

    assert plan.labels is not None
    config, task = config_of(plan), task_named(plan.task)
    with tempfile.TemporaryDirectory(prefix="scanlearn-labels-") as draft:
        source = plan.labels.source(Cohort(plan.cohort), Path(draft))
        labels = labels_for(task, config, source)
        config, _ = planned_for_labels(
            task, config, _changes(plan), labels, card=plan.card
        )
        run = new_finetuning(config, labels, plan.path)
    launch(run)
    return run


def config_of(plan: Finetuning) -> RunConfig:
    """Return the checked configuration of a plan; slow the first time.

    What a task plans is planned without a look at the labels themselves.
    """
    from scanlearn.new_run import finetuning_config

    task, changes = task_named(plan.task), _changes(plan)
    decided = None
    if plan.preset == PLANNED:
        decided = task.plan(
            PlanRequest(
                plan.cohort,
                plan.start_from,
                changes,
                labelled=plan.labelled,
                card=plan.card,
            )
        )
    return finetuning_config(
        [plan.cohort],
        task=task,
        preset_name=plan.preset,
        start_from=plan.start_from,
        changes=changes,
        plan=decided,
    )


def _changes(plan: Finetuning) -> dict[str, Any]:
    """Return what the user set, with what follows from the labels."""
    classes = plan.labels.changes() if plan.labels else {}
    return merge(dict(plan.changes), classes)
