"""Scans, or slices of other patients, that an encoder of slices finds alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlearn.cohort.catalogue import Cohort
from scanlearn.errors import BadConfig
from scanlearn.prediction.each_scan import Tell
from scanlearn.prediction.representation.embedding import Vectors
from scanlearn.prediction.representation.search_hits import (
    Hit,
    absolute_path,
    cosines,
    kept,
    key_of,
    ranked,
)
from scanlearn.prediction.representation.slice_embedding import (
    SliceEmbedder,
    SliceVectors,
)
from scanlearn.prediction.representation.slice_scans import (
    cohort_slice_scans,
    file_slice_scans,
)
from scanlearn.runs.events import Step
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.read import OnUneven


def search_slices(
    run: RunFolder,
    cohort: Path,
    like: str,
    *,
    at: ArrayLike | None,
    series: str,
    on_uneven: OnUneven,
    tell: Tell,
) -> list[Hit]:
    """Rank scans by their vectors, or by the slice most like that of a point.

    Parameters and errors as of
    :func:`~scanlearn.prediction.representation.patch_search.search`.
    """
    opened = Cohort(cohort)
    embedder = SliceEmbedder(run.path, precision="auto")
    rows = _vectors(run, embedder, opened, tell)
    own = [row for row in rows if row.key == key_of(like, series, opened)]
    if own:
        query = own[0]
    else:
        path = absolute_path(like)
        found = file_slice_scans(
            path, embedder.card, tell, series=series, on_uneven=on_uneven
        )
        query = embedder.scan(next(found))
    return similar_volumes(rows, query) if at is None else same_slice(rows, query, at)


def similar_volumes(rows: Sequence[SliceVectors], query: SliceVectors) -> list[Hit]:
    """Rank scans by their likeness to a query, which is left out itself.

    Volumes are compared by the transformer's vector, where it was trained and the query
    is a volume; else by the mean of their slices.
    """

    def of(row: SliceVectors) -> Vectors | None:
        return row.mean if query.holistic is None else row.holistic

    known = [(row, vector) for row in rows if (vector := of(row)) is not None]
    own = of(query)
    assert own is not None
    found = cosines(np.stack([vector for _, vector in known]), own)
    return ranked(
        Hit(row.key, row.patient, cosine)
        for (row, _), cosine in zip(known, found.tolist(), strict=True)
        if row.key != query.key
    )


def same_slice(
    rows: Sequence[SliceVectors], query: SliceVectors, at: ArrayLike
) -> list[Hit]:
    """Rank other patients by their slice that is most like the one of a point.

    Raises
    ------
    BadConfig
        If the point lies above or below the scan.
    """
    point = np.asarray(at, dtype=np.float64)
    heights = query.positions[:, 2]
    gap = np.abs(np.diff(heights)).max() if len(heights) > 1 else np.inf
    nearest = int(np.abs(heights - point[2]).argmin())
    if abs(heights[nearest] - point[2]) > gap:
        raise BadConfig(
            f"The point {np.round(point, 1).tolist()} lies outside the scan",
            expected=f"a height between {heights.min():.1f} and {heights.max():.1f} mm",
            next_step="Give a point of this scan",
        )
    aside = point - query.positions[nearest]
    others = [
        row
        for row in rows
        if row.key != query.key and not (query.patient and row.patient == query.patient)
    ]
    if not others:
        return []
    found = cosines(
        np.concatenate([row.slices for row in others]), query.slices[nearest]
    )
    ends = np.cumsum([len(row.slices) for row in others])
    hits = []
    for row, own in zip(others, np.split(found, ends[:-1]), strict=True):
        best = int(own.argmax())
        x, y, z = (row.positions[best] + aside).tolist()
        hits.append(Hit(row.key, row.patient, float(own[best]), (x, y, z)))
    return ranked(hits)


def _vectors(
    run: RunFolder, embedder: SliceEmbedder, cohort: Cohort, tell: Tell
) -> list[SliceVectors]:
    """Return the vectors of a cohort's scans, from the run's folder if there."""

    def make() -> list[SliceVectors]:
        scans = cohort_slice_scans(cohort.path, embedder.card, tell)
        rows = []
        for number, scan in enumerate(scans, start=1):
            rows.append(embedder.scan(scan))
            tell(Step(step=number, values={"total": float(len(scans))}))
        return rows

    return kept(run, cohort, make=make, columns=_columns, rows=_rows)


def _columns(rows: Sequence[SliceVectors]) -> dict[str, NDArray[Any]]:
    width = max((len(r.holistic) for r in rows if r.holistic is not None), default=0)
    nothing = np.full(width, np.nan, np.float32)
    whole = [nothing if row.holistic is None else row.holistic for row in rows]
    return {
        "keys": np.array([row.key for row in rows]),
        "patients": np.array([row.patient for row in rows]),
        "sizes": np.array([len(row.slices) for row in rows]),
        "slices": np.concatenate([row.slices for row in rows]),
        "positions": np.concatenate([row.positions for row in rows]),
        "holistic": np.stack(whole),
    }


def _rows(found: Mapping[str, NDArray[Any]]) -> list[SliceVectors]:
    ends = np.cumsum(found["sizes"])[:-1]
    slices, positions = (
        np.split(found[name], ends) for name in ("slices", "positions")
    )
    keys, patients, holistic = (found[n] for n in ("keys", "patients", "holistic"))
    return [
        SliceVectors(str(key), str(patient), own, places, z if _there(z) else None)
        for key, patient, own, places, z in zip(
            keys, patients, slices, positions, holistic, strict=True
        )
    ]


def _there(z: Vectors) -> bool:
    return bool(z.size) and not np.isnan(z).any()
