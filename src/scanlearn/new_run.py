"""Making runs: the configuration checked against its cohort and labels, then written.

Both doors for people, the terminal and the docks, launch through here, so a training
that cannot work is refused before anything is on disk.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.working import fitting_spacing
from scanlearn.config.offer import PLANNED
from scanlearn.config.run import RunConfig, merge, parse_run_config
from scanlearn.errors import BadConfig, BadRun
from scanlearn.pretraining.doses import dosed
from scanlearn.pretraining.method import Method
from scanlearn.runs.folder import RunFolder, new_run_path
from scanlearn.tasks.shared.earlier_model import learned_task
from scanlearn.tasks.shared.start_fits import check_start_fits
from scanlearn.tasks.task import Labels, PlanRequest, Task, TrainingPlan


def runs_folder() -> Path:
    """Return where runs go when no place is named."""
    return Path(
        os.environ.get("SCANLEARN_RUNS", Path.home() / "scanlearn" / "runs")
    ).expanduser()


def pretraining_config(
    cohorts: Sequence[Path],
    *,
    method: Method,
    preset_name: str,
    start_from: Path | None = None,
    changes: dict[str, Any] | None = None,
) -> RunConfig:
    """Return the checked configuration of a pre-training.

    Raises
    ------
    BadConfig
        If a setting is wrong, or the method cannot start from another run.
    """
    settings = method.offer.preset(preset_name, changes or {})
    facts: dict[str, Any] = {"kind": "pretrain", "cohorts": _absolute(cohorts)}
    if start_from is not None:
        facts["start_from"] = _absolute([start_from])[0]
    config = parse_run_config(merge(settings, facts))
    if config.start_from is not None and not method.can_start:
        raise BadConfig(
            f"A pre-training by {method.offer.name} cannot start from another run",
            expected="a method that can, or no --from",
            next_step="Leave --from out",
        )
    return config


def new_pretraining(
    method: Method, config: RunConfig, out: Path | None = None
) -> RunFolder:
    """Write a pre-training run, after a look at its cohorts.

    Raises
    ------
    BadCohort
        If the cohorts cannot be trained on: none there, or scans of one patient only.
    BadRun
        If the run to start from has no encoder yet.
    """
    method.check(config)
    _check_start(config.start_from)
    return RunFolder.create(out or _default_path(config), dosed(method, config))


def finetuning_config(
    cohorts: Sequence[Path],
    *,
    task: Task,
    preset_name: str,
    start_from: Path | None,
    changes: dict[str, Any] | None = None,
    plan: TrainingPlan | None = None,
) -> RunConfig:
    """Return the checked configuration of a fine-tuning.

    Parameters
    ----------
    cohorts
        The first is that of the labelled scans.
    task, preset_name, start_from, changes
        What was asked for. Voxels of a preset are those of the cohort nearest in size,
        unless a size is among the changes.
    plan
        Of the preset ``planned``; made without labels where it is left out.
    """
    asked = changes or {}
    settings = task.offer.preset(preset_name, {})
    if preset_name == PLANNED:
        request = PlanRequest(cohorts[0], start_from, asked)
        settings = merge(settings, (plan or task.plan(request)).settings())
    settings = merge(_fitted(settings, cohorts[0]), asked)
    facts: dict[str, Any] = {"kind": "finetune", "cohorts": _absolute(cohorts)}
    if start_from is not None:
        facts["start_from"] = str(start_from.expanduser().absolute())
    return parse_run_config(merge(settings, facts))


def _fitted(settings: dict[str, Any], cohort: Path) -> dict[str, Any]:
    """Return a preset's settings with the voxel size nearest to it that there is."""
    wanted = settings.get("recipe", {}).get("spacing_mm")
    if wanted is None or not Path(cohort).is_dir():
        return settings
    finest = {
        min(r.spacing_mm) for r in Cohort(cohort).records() if not r.is_radiograph
    }
    if len(finest) != 1:
        return settings  # what does not fit together is told where scans are read
    spacing = fitting_spacing(finest.pop(), wanted)
    return merge(settings, {"recipe": {"spacing_mm": spacing}})


def labels_for(task: Task, config: RunConfig, source: Path) -> Labels:
    """Find and check the labels of a fine-tuning's cohort.

    Raises
    ------
    BadLabels
        If they are not what the task takes, or fit no scan.
    BadRun
        If the task cannot start from the run that the configuration names.
    """
    cohort = Cohort(config.cohorts[0])
    radiographs = all(record.is_radiograph for record in cohort.records())
    check_start_fits(task, config.start_from, radiographs=radiographs)
    return task.labels(Path(source), cohort, config)


def planned_for_labels(
    task: Task,
    config: RunConfig,
    changes: dict[str, Any],
    labels: Labels,
    *,
    card: bool | None = None,
) -> tuple[RunConfig, tuple[str, ...]]:
    """Plan a fine-tuning again, now that its labels are read.

    Parameters
    ----------
    task, config, changes
        What was asked for, as :func:`finetuning_config` took and returned it.
    labels
        Of the training.
    card
        Whether there is a graphics card; looked for if not given, which opens torch.

    Returns
    -------
    The configuration, and what was decided in sentences: as it was, and none, for
    presets that leave nothing to a plan.
    """
    if config.preset != PLANNED:
        return config, ()
    if card is None:
        from scanlearn.engine.devices import choose_device

        card = choose_device(config.engine.device) == "cuda"
    cohort = config.cohorts[0]
    plan = task.plan(
        PlanRequest(cohort, config.start_from, changes, labels=labels, card=card)
    )
    planned = finetuning_config(
        config.cohorts,
        task=task,
        preset_name=PLANNED,
        start_from=config.start_from,
        changes=changes,
        plan=plan,
    )
    return planned, tuple(plan.sentences())


def new_finetuning(
    config: RunConfig, labels: Labels, out: Path | None = None
) -> RunFolder:
    """Write a fine-tuning run with its own copy of the labels.

    Raises
    ------
    BadRun
        If the run to start from has no encoder yet.
    """
    _check_start(config.start_from)
    path = out or _default_path(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        labels.save(draft)
        return RunFolder.create(path, config, inputs=draft)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _check_start(run: Path | None) -> None:
    if run is None:
        return
    RunFolder(run)
    if not (run / "checkpoints" / "encoder.json").is_file() and not learned_task(run):
        raise BadRun(
            f"{run} has no trained encoder yet",
            expected="a run that has saved at least once",
            next_step="Choose another run, or start from scratch",
        )


def _default_path(config: RunConfig) -> Path:
    cohort = config.cohorts[0].name
    return new_run_path(runs_folder(), f"{config.recipe.name}_{cohort}")


def _absolute(paths: Sequence[Path]) -> list[str]:
    return [str(Path(path).expanduser().absolute()) for path in paths]
