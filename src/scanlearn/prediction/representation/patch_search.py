"""Which scans of a cohort are like a given one, as a whole or at one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlearn.cohort.catalogue import Cohort
from scanlearn.encoders.encoder_file import read_card
from scanlearn.encoders.slice_encoder_card import SliceEncoderCard
from scanlearn.errors import BadConfig
from scanlearn.prediction.each_scan import Tell
from scanlearn.prediction.representation.embedding import Embedder, ScanVectors
from scanlearn.prediction.representation.encoder_scans import (
    EncoderScan,
    cohort_scans,
    file_scans,
)
from scanlearn.prediction.representation.search_hits import (
    Hit,
    absolute_path,
    cosines,
    kept,
    key_of,
    ranked,
)
from scanlearn.prediction.representation.slice_search import search_slices
from scanlearn.runs.events import Step
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.read import OnUneven


def search(
    run: RunFolder,
    cohort: Path,
    like: str,
    *,
    at: ArrayLike | None = None,
    series: str = "",
    on_uneven: OnUneven = "refuse",
    count: int = 10,
    tell: Tell = lambda event: None,
) -> list[Hit]:
    """Find similar scans, or similar patches at one place of other patients.

    The vectors of the cohort's scans are kept in the run's ``embeddings/``, so that the
    second search of a cohort takes seconds.

    Parameters
    ----------
    run
        A pre-training run.
    cohort
        Where to search.
    like
        Key of a scan of the cohort, or a file or folder.
    at
        (3,) LPS millimetres in that scan; the whole scan when None. Patients are
        compared at the same location, so the query's own patient is left out.
    series
        Only the series with this UID, where ``like`` is a folder of several.
    on_uneven
        As in :func:`scanlearn.scans.read.read_scan`, of a file or folder.
    count
        Of hits, the most similar first.
    tell
        Given an event for every step and remark.

    Raises
    ------
    BadConfig
        If the place lies outside the scan.
    """
    if isinstance(read_card(run.path), SliceEncoderCard):
        found = search_slices(
            run, cohort, like, at=at, series=series, on_uneven=on_uneven, tell=tell
        )
        return found[:count]
    embedder = Embedder(run.path, precision="auto")
    opened = Cohort(cohort)
    key = key_of(like, series, opened)
    # Read only where it is asked for.
    from_file = file_scans(
        absolute_path(like), embedder.card, tell, series=series, on_uneven=on_uneven
    )
    if at is None:
        rows = _vectors(run, embedder, opened, tell)
        mine = [row for row in rows if row.key == key]
        if not mine:
            mine = embedder.scans([next(from_file)])
        return similar_scans(rows, mine[0])[:count]
    scans = cohort_scans(cohort, embedder.card, tell)
    own = [scan for scan in scans if scan.key == key]
    query = own[0] if own else next(from_file)
    return same_place(embedder, scans, query, at)[:count]


def similar_scans(rows: Sequence[ScanVectors], query: ScanVectors) -> list[Hit]:
    """Rank scans by their likeness to a query, which is left out itself."""
    vectors = np.stack([row.pooled("mean") for row in rows])
    found = cosines(vectors, query.pooled("mean"))
    hits = [
        Hit(row.key, row.patient, cosine)
        for row, cosine in zip(rows, found.tolist(), strict=True)
        if row.key != query.key
    ]
    return ranked(hits)


def same_place(
    embedder: Embedder, scans: Sequence[EncoderScan], query: EncoderScan, at: ArrayLike
) -> list[Hit]:
    """Rank other patients by the patch at the location of a point of the query."""
    point = np.asarray(at, dtype=np.float64)
    index = query.grid.to_index(point)
    if not ((index > -1) & (index < np.array(query.grid.shape))).all():
        low, high = (np.round(mm, 1).tolist() for mm in query.grid.bounds_mm())
        raise BadConfig(
            f"The point {np.round(point, 1).tolist()} lies outside the scan",
            expected=f"LPS millimetres between {low} and {high}",
            next_step="Give a point of this scan",
        )
    location = query.frame.to_location(point)
    voxels = np.stack([embedder.cut(one, location) for one in [query, *scans]])
    vectors = embedder.encode_placed(voxels, location[None])
    found = cosines(vectors[1:], vectors[0])
    hits = []
    for scan, cosine in zip(scans, found.tolist(), strict=True):
        if scan.key != query.key and (
            not query.patient or scan.patient != query.patient
        ):
            x, y, z = scan.frame.to_patient(location).tolist()
            hits.append(Hit(scan.key, scan.patient, cosine, (x, y, z)))
    return ranked(hits)


def _vectors(
    run: RunFolder, embedder: Embedder, cohort: Cohort, tell: Tell
) -> list[ScanVectors]:
    """Return the vectors of a cohort's scans, from the run's folder if there."""

    def make() -> list[ScanVectors]:
        scans = cohort_scans(cohort.path, embedder.card, tell)
        return embedder.scans(
            scans, progress=lambda n, m: tell(Step(step=n, values={"total": float(m)}))
        )

    return kept(run, cohort, make=make, columns=_columns, rows=_rows)


def _columns(rows: Sequence[ScanVectors]) -> dict[str, NDArray[Any]]:
    return {
        "keys": np.array([row.key for row in rows]),
        "patients": np.array([row.patient for row in rows]),
        "vectors": np.stack([row.vectors for row in rows]),
        "positions": np.stack([row.positions for row in rows]),
        "lung_share": np.stack([row.lung_share for row in rows]),
    }


def _rows(found: Mapping[str, NDArray[Any]]) -> list[ScanVectors]:
    names = ("keys", "patients", "vectors", "positions", "lung_share")
    return [
        ScanVectors(str(key), str(patient), *arrays)
        for key, patient, *arrays in zip(*(found[n] for n in names), strict=True)
    ]
