"""Which scans to label next: those the model doubts, unlike each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.run import RunConfig
from scanlearn.prediction.representation.embedding_file import embed
from scanlearn.runs.events import Event, Message
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.task import Task

Tell = Callable[[Event], None]


@dataclass(frozen=True, eq=False)
class Doubt:
    """What a model thinks of a scan.

    Parameters
    ----------
    key, patient
        Of the scan.
    doubt
        From 0, sure, to 1, as good as guessing.
    vector
        (D,) what the scan looks like to the model.
    """

    key: str
    patient: str
    doubt: float
    vector: NDArray[np.float64]


@dataclass(frozen=True)
class Suggestion:
    """A scan to label.

    Parameters
    ----------
    key, patient
        Of the scan.
    doubt
        From 0, sure, to 1, as good as guessing.
    novelty
        Distance to the most alike of the scans that are labelled or suggested before,
        1 - cosine; 1 where there is none.
    """

    key: str
    patient: str
    doubt: float
    novelty: float


def suggest(
    task: Task,
    run: RunFolder,
    cohort: Path,
    *,
    count: int,
    tell: Tell = lambda event: None,
) -> list[Suggestion]:
    """Suggest which scans of a cohort to label next for a fine-tuned run.

    Parameters
    ----------
    task
        What the run learned.
    run
        A fine-tuning. Novelty is measured by the vectors of the pre-training that it
        started from, maybe through other fine-tunings; from scratch, doubt alone
        counts.
    cohort
        Its scans of patients without labels are looked at.
    count
        How many to suggest.
    tell
        Given an event for every step and remark.

    Raises
    ------
    BadRun
        If the run's task cannot say how sure it is.
    """
    config, opened = run.config(), Cohort(cohort)
    trained_on = Cohort(config.cohorts[0])
    labelled = set(task.labels(run.inputs, trained_on, config).patient_keys)
    records = opened.records()
    fresh = [record for record in records if record.patient not in labelled]
    if not fresh:
        tell(Message(text="Every patient of the cohort has labels: nothing to suggest"))
        return []
    doubts = task.doubt(run, opened, [one.key for one in fresh], tell)
    vectors = _vectors(_pretraining(config), cohort, tell)
    seen = [r for r in fresh if r.key in doubts and (not vectors or r.key in vectors)]
    if len(seen) < len(fresh):
        text = f"{len(fresh) - len(seen)} scans could not be looked at: left out"
        tell(Message(text=text, severity="warning"))
    candidates = [
        Doubt(r.key, r.patient, doubts[r.key], vectors.get(r.key, np.zeros(1)))
        for r in seen
    ]
    known = [
        vectors[r.key] for r in records if r.patient in labelled and r.key in vectors
    ]
    return next_scans(candidates, known, count=count)


def _pretraining(config: RunConfig) -> Path | None:
    """Return the pre-training that a run began with, maybe through other runs."""
    while config.start_from is not None:
        start = RunFolder(config.start_from)
        config = start.config()
        if config.kind == "pretrain":
            return start.path
    return None


def _vectors(
    start: Path | None, cohort: Path, tell: Tell
) -> dict[str, NDArray[np.float64]]:
    """Return a vector for each scan that the pre-training's encoder can place."""
    if start is None:
        tell(
            Message(
                text="The run was trained from scratch: without an embedding, the most "
                "doubtful scans are suggested, however alike"
            )
        )
        return {}
    found = embed(RunFolder(start), cohort, level="scan", precision="auto", tell=tell)
    return dict(zip(found.ids, found.vectors.astype(np.float64), strict=True))


def next_scans(
    candidates: Sequence[Doubt], labelled: ArrayLike, *, count: int
) -> list[Suggestion]:
    """Choose scans one after another: the largest product of doubt and novelty.

    Doubt alone would suggest the same difficulty several times, novelty alone the odd
    scan that the model reads well. A patient is suggested once, while there are others.

    Parameters
    ----------
    candidates
        Unlabelled scans.
    labelled
        (N, D) vectors of the labelled scans.
    count
        How many.
    """
    if not candidates:
        return []
    vectors = np.stack([one.vector for one in candidates])
    known = np.asarray(labelled, dtype=np.float64).reshape(-1, vectors.shape[1])
    # Vectors of one network lie in a narrow cone: directions from their middle differ.
    middle = np.concatenate([vectors, known]).mean(axis=0)
    vectors, known = _directions(vectors - middle), _directions(known - middle)
    distance = _nearest(vectors, known)
    doubt = np.array([one.doubt for one in candidates])
    left = set(range(len(candidates)))
    found: list[Suggestion] = []
    while left and len(found) < count:
        taken = {one.patient for one in found}
        fresh = [i for i in left if candidates[i].patient not in taken] or list(left)
        best = max(sorted(fresh), key=lambda i: doubt[i] * distance[i])
        one = candidates[best]
        found.append(Suggestion(one.key, one.patient, one.doubt, float(distance[best])))
        left.remove(best)
        distance = np.minimum(distance, _nearest(vectors, vectors[[best]]))
    return found


def _directions(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), dtype=np.float64)


def _nearest(
    vectors: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return for each vector its distance to the nearest of others; 1 without any."""
    if not len(others):
        return np.ones(len(vectors))
    return np.asarray(1 - (vectors @ others.T).max(axis=1), dtype=np.float64)
