"""Starting a fine-tuning: labels into the run's inputs, then the worker."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scanlearn.config.run import RunConfig, merge
from scanlearn.errors import BadLabels
from scanlearn.gui.background import Report
from scanlearn.gui.labels_io import Painted, write_labels
from scanlearn.runs import RunFolder, launch

if TYPE_CHECKING:
    from scanlearn.cohort.catalogue import Cohort


@dataclass(frozen=True)
class Finetuning:
    """What the dock asks for; ``changes`` are laid over the preset."""

    path: Path
    cohort: Path
    task: str
    preset: str
    start_from: Path | None
    changes: Mapping[str, Any]
    classes: Mapping[int, str]
    painted: tuple[Painted, ...]
    masks: Path | None


def start_finetuning(plan: Finetuning, _report: Report) -> RunFolder:
    """Check labels and settings, write the run, launch its worker; slow.

    Raises
    ------
    ScanlearnError
        If a label map fits no scan of the cohort, or a setting is impossible; nothing
        is left on disk then.
    """
    from scanlearn.cohort.catalogue import Cohort
    from scanlearn.cohort.labels import collect_labels
    from scanlearn.config.segmentation import SegmentationConfig
    from scanlearn.launching import new_finetuning

    config = config_of(plan)
    assert isinstance(config.recipe, SegmentationConfig)
    cohort = Cohort(plan.cohort)
    with tempfile.TemporaryDirectory(prefix="scanlearn-labels-") as draft:
        source = plan.masks
        if plan.painted:
            source = Path(draft)
            _write_painted(plan.painted, cohort, source)
        assert source is not None
        labels = collect_labels(source, cohort, labelling=config.recipe.labelling)
        run = new_finetuning(config, labels, plan.path)
    launch(run)
    return run


def config_of(plan: Finetuning) -> RunConfig:
    """Return the checked configuration of a plan; slow the first time."""
    from scanlearn.launching import finetuning_config

    classes = [{"value": v, "name": n} for v, n in sorted(plan.classes.items())]
    return finetuning_config(
        [plan.cohort],
        task=plan.task,
        preset_name=plan.preset,
        start_from=plan.start_from,
        changes=merge(dict(plan.changes), {"recipe": {"classes": classes}}),
    )


def _write_painted(layers: tuple[Painted, ...], cohort: Cohort, folder: Path) -> None:
    for painted in layers:
        key = scan_key_of(painted, cohort)
        write_labels(folder / f"{key}.nii.gz", painted)


def scan_key_of(painted: Painted, cohort: Cohort) -> str:
    """Return the key of the cohort's scan that labels were painted on.

    Raises
    ------
    BadLabels
        If the cohort was not prepared from that scan.
    """
    origin = painted.origin
    volume = "" if origin.volume is None else str(origin.volume)
    wanted = (str(origin.source), origin.series, volume)
    for key, source in cohort.sources().items():
        if (source.path, source.series, source.volume) == wanted:
            return key
    raise BadLabels(
        f"The layer '{painted.name}' was painted on {origin.source}, which is not in "
        f"the cohort {cohort.path.name}",
        expected="labels on scans of the chosen cohort",
        next_step="Choose another cohort, or prepare this scan into it",
    )
