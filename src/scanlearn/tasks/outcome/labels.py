"""Outcomes of a cohort's patients, from a table."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.outcome import OutcomeConfig, OutcomeKind
from scanlearn.errors import BadLabels
from scanlearn.scans.tables.label_tables import SPACINGS, read_table
from scanlearn.tasks.shared.class_names import check_visible
from scanlearn.tasks.shared.saved_labels import save_labels, saved_labels
from scanlearn.tasks.shared.table_rows import row_source, scan_keys

OUTCOMES_FILE = "outcomes.json"

#: Columns that say something of the scan, not of its patient's fate.
_NO_TARGET = {"path", "patient", "split", "index", "mask", "time", "event", *SPACINGS}

#: More different whole numbers than this are a measurement, not grades.
_MOST_GRADES = 6


@dataclass(frozen=True)
class PatientOutcome:
    """What became of a patient.

    Parameters
    ----------
    patient, scans
        Keys.
    value
        The number, the position of the class, or the time to event or censoring.
    event
        Whether it happened; only of survival.
    covariates
        Clinical numbers.
    split
        ``train``, ``val``, ``test``, or empty.
    """

    patient: str
    scans: tuple[str, ...]
    value: float
    event: bool = False
    covariates: tuple[float, ...] = ()
    split: str = ""


@dataclass(frozen=True)
class OutcomeSet:
    """Outcomes of patients.

    Parameters
    ----------
    kind, target
        What is predicted.
    classes
        Names of the classes in order; empty for numbers.
    covariates
        Names of the clinical numbers.
    patients
        One each, in order of key.
    remarks
        What the user should know.
    """

    kind: OutcomeKind
    target: str
    classes: tuple[str, ...]
    covariates: tuple[str, ...]
    patients: tuple[PatientOutcome, ...]
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_visible((self.target, *self.classes))

    @property
    def patient_keys(self) -> tuple[str, ...]:
        """Keys of the labelled patients, each once, in order."""
        return tuple(one.patient for one in self.patients)

    @property
    def teaching_keys(self) -> tuple[str, ...]:
        """Keys of those that can be learned from alone: of all."""
        return self.patient_keys

    def of(self, patients: Collection[str]) -> OutcomeSet:
        """Return the outcomes of some patients."""
        some = tuple(one for one in self.patients if one.patient in patients)
        return replace(self, patients=some)

    def save(self, folder: Path) -> None:
        """Write ``outcomes.json``: keys, no names."""
        content = {k: v for k, v in asdict(self).items() if k != "remarks"}
        save_labels(folder / OUTCOMES_FILE, content)

    @classmethod
    def load(cls, folder: Path) -> OutcomeSet:
        """Read outcomes that were saved.

        Raises
        ------
        BadLabels
            If the folder holds none.
        """
        path = folder / OUTCOMES_FILE
        with saved_labels(path) as content:
            patients = tuple(
                PatientOutcome(
                    str(one["patient"]),
                    tuple(one["scans"]),
                    float(one["value"]),
                    bool(one["event"]),
                    tuple(one["covariates"]),
                    str(one["split"]),
                )
                for one in content["patients"]
            )
            return cls(
                content["kind"],
                str(content["target"]),
                tuple(content["classes"]),
                tuple(content["covariates"]),
                patients,
            )


def collect_outcomes(source: Path, cohort: Cohort, config: OutcomeConfig) -> OutcomeSet:
    """Read the outcomes of a cohort's patients from a table.

    Parameters
    ----------
    source
        CSV with ``path`` and the columns that the settings name, or the inputs of an
        outcome run.
    cohort
        The cohort; a patient's rows must say the same.
    config
        Target, kind, covariates.

    Raises
    ------
    BadLabels
        If a column is missing, no row fits a scan, or rows of a patient differ.
    """
    for folder in (source, source / "inputs"):
        if (folder / OUTCOMES_FILE).is_file():
            return OutcomeSet.load(folder)
    table = read_table(source)
    target = _target(source, table, config)
    kind = _kind(table, target, config)
    names = ["time", "event"] if kind == "survival" else [target]
    wanted = [*names, *config.covariates]
    _check_columns(source, table, wanted, config.covariates)
    keys, known = scan_keys(cohort), {r.key: r for r in cohort.records()}
    rows: list[dict[Any, Any]] = table.to_dict("records")
    of_patient: dict[str, list[tuple[str, dict[Any, Any]]]] = {}
    strangers = empty = 0
    for row in rows:
        key = keys.get(row_source(row), "")
        if key not in known:
            strangers += 1
        elif any(_is_empty(row[name]) for name in wanted):
            empty += 1
        else:
            of_patient.setdefault(known[key].patient, []).append((key, row))
    if not of_patient:
        raise BadLabels(
            f"No row of {source.name} names a scan of {cohort.path.name}",
            expected="the paths that the cohort was prepared from, and no empty cells",
            next_step="Choose the cohort that these scans were prepared into",
        )
    classes = _classes(kind, of_patient, target)
    patients = tuple(
        _patient(patient, rows, names, config.covariates, classes, source)
        for patient, rows in sorted(of_patient.items())
    )
    remarks = [f"{len(patients)} patients: {kind} of {target}"]
    if strangers:
        remarks.append(f"{strangers} rows name no scan of the cohort: passed over")
    if empty:
        remarks.append(f"{empty} rows have an empty cell: passed over")
    return OutcomeSet(
        kind, target, classes, config.covariates, patients, tuple(remarks)
    )


def target_columns(table: pd.DataFrame) -> list[str]:
    """Return the columns that can be predicted: of survival, ``time``."""
    found = [str(name) for name in table.columns if name not in _NO_TARGET]
    survival = ["time"] if {"time", "event"} <= set(table.columns) else []
    return survival + found


def _target(source: Path, table: pd.DataFrame, config: OutcomeConfig) -> str:
    choices = [n for n in target_columns(table) if n not in config.covariates]
    if config.target:
        if config.target in choices:
            return config.target
        raise BadLabels(
            f"{source.name} has no column '{config.target}' to predict",
            expected=", ".join(choices),
            next_step="Set target to one of these",
        )
    if "time" in choices or len(choices) == 1:
        return choices[0]
    raise BadLabels(
        f"{source.name} has {len(choices)} columns that could be predicted",
        expected=f"one of {', '.join(choices)}",
        next_step="Say which with -s target=…",
    )


def _kind(table: pd.DataFrame, target: str, config: OutcomeConfig) -> OutcomeKind:
    if config.kind != "auto":
        return config.kind
    if target == "time" and "event" in table:
        return "survival"
    cells = table[target]
    if not pd.api.types.is_numeric_dtype(cells):
        return "nominal"
    values = cells.dropna()
    whole = bool((values == values.round()).all())
    return "ordinal" if whole and values.nunique() <= _MOST_GRADES else "regression"


def _check_columns(
    source: Path, table: pd.DataFrame, wanted: Sequence[str], numbers: Sequence[str]
) -> None:
    missing = [name for name in wanted if name not in table]
    if missing:
        raise BadLabels(
            f"{source.name} has no column '{missing[0]}'",
            expected=f"the columns {', '.join(wanted)}",
            next_step="Add it, or change the settings",
        )
    for name in numbers:
        if not pd.api.types.is_numeric_dtype(table[name]):
            raise BadLabels(
                f"The covariate '{name}' of {source.name} is text",
                expected="numbers, such as 0 and 1 for two groups",
                next_step="Code it as numbers",
            )


def _classes(
    kind: OutcomeKind, rows: Mapping[str, list[tuple[str, dict[Any, Any]]]], target: str
) -> tuple[str, ...]:
    if kind not in ("ordinal", "nominal"):
        return ()
    found = {row[target] for some in rows.values() for _, row in some}
    if len(found) < 2:
        raise BadLabels(
            f"All patients have the same {target}",
            expected="at least two classes",
            next_step="Choose another column, or more patients",
        )
    return tuple(_text(value) for value in sorted(found))


def _patient(
    patient: str,
    rows: Sequence[tuple[str, dict[Any, Any]]],
    names: Sequence[str],
    covariates: Sequence[str],
    classes: Sequence[str],
    source: Path,
) -> PatientOutcome:
    said = {tuple(row[name] for name in (*names, *covariates)) for _, row in rows}
    if len(said) > 1:
        raise BadLabels(
            f"{source.name} says two things of one patient ({patient})",
            expected="the same outcome and covariates in all rows of a patient",
            next_step="Correct the table",
        )
    first = rows[0][1]
    value = first[names[0]]
    return PatientOutcome(
        patient,
        tuple(key for key, _ in rows),
        float(classes.index(_text(value)) if classes else value),
        bool(first["event"]) if len(names) == 2 else False,
        tuple(float(first[name]) for name in covariates),
        str(first.get("split", "")),
    )


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _is_empty(cell: Any) -> bool:
    return cell == "" or (isinstance(cell, float) and math.isnan(cell))
