"""Learning outcomes: a vector of each patient, models, and what needs no encoder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.anatomy.densitometry import LAA_HU, PERCENTILE
from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.outcome import FEWEST_PATIENTS, OutcomeConfig
from scanlearn.config.run import RunConfig
from scanlearn.engine.fitting import Fit
from scanlearn.errors import BadLabels
from scanlearn.features.describer import Describer
from scanlearn.features.describer_choice import describer_for
from scanlearn.prediction.representation.encoder_scans import EncoderScan
from scanlearn.runs.events import Event, Message, Preview
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.resample import resample
from scanlearn.tasks.outcome.card import OutcomeCard, save_outcome
from scanlearn.tasks.outcome.labels import OutcomeSet, PatientOutcome
from scanlearn.tasks.outcome.models import (
    Floats,
    Outcomes,
    error_bound,
    fit_outcome,
    held_out_scores,
    score,
)
from scanlearn.tasks.outcome.risk_groups import draw_risk_groups
from scanlearn.tasks.outcome.survival import Baseline, baseline, sorted_rounded

#: What vectors of scans are called in tables of scores.
VECTORS = "scans"

#: The same with clinical numbers beside them.
WITH_COVARIATES = "scans and covariates"


class OutcomeFit(Fit):
    """Vectors of patients, a linear model on them, and baselines on the same folds.

    Parameters
    ----------
    config
        The whole configuration; its recipe is an :class:`OutcomeConfig`.
    run
        Where the outcomes taken at launch are.
    """

    def __init__(self, config: RunConfig, run: RunFolder) -> None:
        self.config, self.seed = config.section(OutcomeConfig), config.engine.seed
        self.cohort = config.cohorts[0]
        self.outcomes = OutcomeSet.load(run.inputs)
        self.patients = [p for p in self.outcomes.patients if p.split != "test"]
        self.start = config.start_from
        record = Cohort(self.cohort).record(self.patients[0].scans[0])
        self.features, self.describer = describer_for(
            self.start, run.path, patch_mm=0.0, spacing_mm=record.spacing_mm
        )
        self.spacing_mm = record.spacing_mm
        self._vectors: dict[str, Floats] = {}
        self._densities: dict[str, Floats] = {}
        self._table: dict[str, dict[str, float]] = {}
        self._preview: tuple[Outcomes, Floats] | None = None
        self._error_90: dict[str, float | None] = {}
        self._held_out: dict[str, Floats] = {}
        self._cohort: dict[str, tuple[float, ...]] = {}
        self._baselines: dict[str, Baseline] = {}

    @property
    def parts(self) -> int:
        """How many scans the patients have."""
        return sum(len(patient.scans) for patient in self.patients)

    def work(self) -> Iterator[Message | None]:
        """Describe scan after scan."""
        keys = {key for patient in self.patients for key in patient.scans}
        for message, scan, vector in describe_whole(self.describer, self.cohort, keys):
            self._vectors[scan.key] = vector
            self._densities[scan.key] = densities(scan)
            yield message

    def finish(self) -> dict[str, float]:
        """Fit, and score every set of features on the same held-out patients."""
        known = [p for p in self.patients if set(p.scans) & set(self._vectors)]
        least = FEWEST_PATIENTS
        if len(known) < least:
            raise BadLabels(
                f"Only {len(known)} patients could be described",
                expected=f"at least {least} patients",
                next_step="Add patients to the table, or look at the remarks above",
            )
        y = outcomes_of(known, self.outcomes)
        sets = self._feature_sets(known)
        metrics: dict[str, float] = {}
        for name, x in sets.items():
            guess = held_out_scores(x, y, self.config, seed=self.seed)
            if guess is None:
                continue
            self._table[name] = score(y, guess)
            main, value = next(iter(self._table[name].items()))
            metrics[main if name == VECTORS else f"{main}, {name}"] = value
            self._held_out[name] = guess[:, 0]
            if name == VECTORS and y.kind == "survival":
                self._preview = y, guess[:, 0]
            if y.kind == "regression":
                self._error_90[name] = error_bound(y.value - guess[:, 0])
        self.models = {
            name: fit_outcome(sets[name], y, self.config)
            for name in (VECTORS, WITH_COVARIATES)
            if name in sets
        }
        self._known = known
        self._place(sets, y)
        return metrics

    def previews(self, folder: Path) -> list[Preview]:
        """Draw the survival of held-out patients by predicted risk."""
        if self._preview is None:
            return []
        y, risk = self._preview
        caption = draw_risk_groups(folder / "risk_groups.png", y, risk)
        return [Preview(step=self.parts, file="risk_groups.png", caption=caption)]

    def export(self, folder: Path) -> None:
        """Write the models beside a copy of the encoder."""
        self.describer.save(folder)
        card = OutcomeCard(
            features=self.features,
            spacing_mm=self.spacing_mm,
            kind=self.outcomes.kind,
            target=self.outcomes.target,
            classes=self.outcomes.classes,
            covariates=self.outcomes.covariates,
            patients=len(self._known),
            held_out=self._table,
            error_90=self._error_90.get(VECTORS),
            error_90_with_covariates=self._error_90.get(WITH_COVARIATES),
            cohort=self._cohort,
            baselines=self._baselines,
            pretrained=self.start.name if self.start is not None else "",
        )
        save_outcome(folder, self.models, card)

    def _place(self, sets: Mapping[str, Floats], y: Outcomes) -> None:
        """Note what a new patient is compared with."""
        for name, model in self.models.items():
            if y.kind == "regression":
                self._cohort[name] = sorted_rounded(y.value)
            elif y.kind == "survival":
                scores = model.scores(sets[name])[:, 0]
                self._baselines[name] = baseline(y, scores)
                # Of patients it did not learn from, where there were folds enough.
                risks = np.exp(self._held_out.get(name, scores))
                self._cohort[name] = sorted_rounded(risks)

    def _feature_sets(self, known: Sequence[PatientOutcome]) -> dict[str, Floats]:
        vectors = of_patients(known, self._vectors)
        sets = {VECTORS: vectors}
        laa = of_patients(known, self._densities)[:, :1]
        if np.isfinite(laa).all():
            sets["LAA-950"] = laa
        if self.outcomes.covariates:
            clinical = np.array([patient.covariates for patient in known])
            sets["covariates"] = clinical
            sets[WITH_COVARIATES] = np.hstack([vectors, clinical])
        return sets


def describe_whole(
    describer: Describer, cohort: Path, keys: set[str]
) -> Iterator[tuple[Message | None, EncoderScan, Floats]]:
    """Yield the scans of a cohort with their vectors, and what to say of each."""
    told: list[Event] = []
    for scan in describer.from_cohort(cohort, keys, told):
        vector = np.asarray(describer.whole(scan), dtype=np.float64)
        said = [event.text for event in told if isinstance(event, Message)]
        told.clear()
        message = Message(text="\n".join(said), severity="warning") if said else None
        yield message, scan, vector


def of_patients(
    patients: Sequence[PatientOutcome], by_scan: Mapping[str, Floats]
) -> Floats:
    """Return (n, d) means over each patient's scans."""
    return np.array(
        [
            np.mean([by_scan[key] for key in patient.scans if key in by_scan], axis=0)
            for patient in patients
        ]
    )


def outcomes_of(patients: Sequence[PatientOutcome], outcomes: OutcomeSet) -> Outcomes:
    """Return what is to be predicted of patients as arrays."""
    return Outcomes(
        outcomes.kind,
        np.array([patient.value for patient in patients]),
        np.array([patient.event for patient in patients]),
        len(outcomes.classes),
    )


def densities(scan: EncoderScan) -> Floats:
    """Return LAA-950 (percent), Perc15 and mean (HU) of a scan's lungs.

    On the cohort's voxels, whose noise resampling has lowered: LAA-950 is lower than on
    the source's. ``nan`` without lungs.
    """
    if scan.lungs is None:
        return np.full(3, np.nan)
    mask, grid = scan.lungs
    inside = np.asarray(
        resample(mask.astype(np.uint8), grid, scan.grid, order=0, outside=0), dtype=bool
    )
    hu: NDArray[np.float32] = scan.read((0, 0, 0), scan.grid.shape)[inside]
    if not hu.size:
        return np.full(3, np.nan)
    low = 100 * float((hu < LAA_HU).mean())
    return np.array([low, float(np.percentile(hu, PERCENTILE)), float(hu.mean())])
