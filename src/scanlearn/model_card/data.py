"""The data of a run: scans by count and modality, labels, and who was held out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.record import ScanRecord
from scanlearn.config.run import RunConfig
from scanlearn.errors import ScanlearnError
from scanlearn.model_card.anonymous import anonymous
from scanlearn.model_card.markup import listed, section, table
from scanlearn.model_card.training import fitted_at_once
from scanlearn.runs.events import Event, Message
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.task import Task

_COLUMNS = ("cohort", "modality", "scans", "patients", "voxels (mm) or pixels", "state")


@dataclass(frozen=True)
class DataFacts:
    """What is known of the data.

    Parameters
    ----------
    rows
        A line for each modality of each cohort.
    scans, patients
        How many there are in all; None where a cohort is no longer there.
    preparation
        How the scans were prepared, a line a cohort.
    labels, splits
        Sentences on both.
    """

    rows: tuple[tuple[str, ...], ...]
    scans: int | None
    patients: int | None
    preparation: tuple[str, ...]
    labels: tuple[str, ...]
    splits: tuple[str, ...]

    def markdown(self) -> str:
        """Return the section of the card."""
        lines = [*self.preparation, *self.labels, *self.splits]
        return section("Data", table(_COLUMNS, self.rows), listed(lines))


def data_facts(run: RunFolder, config: RunConfig, task: Task | None) -> DataFacts:
    """Count the data of a run, where they still are; ``task`` is None of a method."""
    rows: list[tuple[str, ...]] = []
    used: list[ScanRecord] = []
    preparation = []
    cohorts = [_opened(path) for path in config.cohorts]
    for number, cohort in enumerate(cohorts, start=1):
        name = str(number)
        if cohort is None:
            rows.append((name, "–", "–", "–", "–", "no longer there: not counted"))
            continue
        records = cohort.records()
        used += records
        rows += _rows(name, records, _same(run, cohort))
        preparation.append(_preparation(name, cohort))
    known = bool(cohorts) and None not in cohorts
    return DataFacts(
        rows=tuple(rows),
        scans=len(used) if known else None,
        patients=len({record.patient for record in used}) if known else None,
        preparation=tuple(preparation),
        labels=_labels(run, config, task),
        splits=_splits(config, run.events()),
    )


def _opened(path: Any) -> Cohort | None:
    try:
        return Cohort(path)
    except (ScanlearnError, OSError):
        return None


def _same(run: RunFolder, cohort: Cohort) -> str:
    """Say whether a cohort is as it was when the run was trained."""
    noted = run.process().get("cohorts", {}).get(cohort.path.name)
    if noted is None:
        return "as it is today"
    return "as trained" if noted == cohort.fingerprint() else "differs by now"


def _rows(
    cohort: str, records: Sequence[ScanRecord], state: str
) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    counted = Counter((record.modality or "unknown") for record in records)
    for modality, count in sorted(counted.items()):
        mine = [one for one in records if (one.modality or "unknown") == modality]
        patients = len({record.patient for record in mine})
        row = (cohort, modality, str(count), str(patients), _sizes(mine), state)
        found.append(row)
    return found


def _sizes(records: Sequence[ScanRecord]) -> str:
    """Return the most frequent size of a voxel, or of an image, and how many others."""
    sizes = Counter(map(_size, records)).most_common()
    more = f" and {len(sizes) - 1} others" if len(sizes) > 1 else ""
    return sizes[0][0] + more


def _size(record: ScanRecord) -> str:
    if record.is_radiograph:
        return " × ".join(str(n) for n in record.shape[1:])
    return " × ".join(f"{mm:.3g}" for mm in record.spacing_mm)


def _preparation(name: str, cohort: Cohort) -> str:
    settings = cohort.settings.config
    left_out = len(cohort.keys(excluded=True)) - len(cohort)
    text = (
        f"Cohort {name} was prepared on axis-aligned grids in the patient's space; "
        f"cropping: {settings.crop}; unevenly spaced slices: {settings.on_uneven}"
    )
    units = sorted({record.intensity.units for record in cohort.records()})
    text += f"; intensities: {', '.join(units)}" if units else ""
    return f"{text}; {left_out} scans were left out."


def _labels(run: RunFolder, config: RunConfig, task: Task | None) -> tuple[str, ...]:
    if task is None:
        return ("No labels were used.",)
    try:
        labels = task.labels(run.inputs, Cohort(config.cohorts[0]), config)
    except (ScanlearnError, OSError):
        return ("The labels, or the cohort they belong to, can no longer be read.",)
    return (f"Labels of {len(labels.patient_keys)} patients of cohort 1 were given.",)


def _splits(config: RunConfig, events: Sequence[Event]) -> tuple[str, ...]:
    """Return what the settings and the run's own words say of who was held out."""
    told = [event.text for event in events if isinstance(event, Message)]
    said = dict.fromkeys(text for text in told if "held out" in text)
    found = [anonymous(text, config) for text in said]
    share = getattr(config.recipe, "validation", None)
    if fitted_at_once(events):
        found.append("The model was fitted to all labelled patients.")
    elif share is not None:
        found.append(
            "Splits are by patient: those of a table's column 'split' where it had one,"
            f" otherwise {share:.0%} of the labelled patients were held out for "
            "validation where there were enough (seed "
            f"{config.engine.seed})."
        )
    return tuple(found)
