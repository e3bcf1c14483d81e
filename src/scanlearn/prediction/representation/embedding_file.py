"""Embeddings as an ``.npz``: of a cohort, of scans in files, or of given patches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from scanlearn.encoders.encoder_file import read_card
from scanlearn.encoders.slice_encoder_card import SliceEncoderCard
from scanlearn.errors import BadConfig, BadScan
from scanlearn.files import written_beside
from scanlearn.prediction.each_scan import Tell
from scanlearn.prediction.representation.embedding import (
    Embedder,
    Pool,
    Precision,
    Progress,
    ScanVectors,
    Vectors,
)
from scanlearn.prediction.representation.encoder_scans import (
    cohort_scans,
    file_scans,
    is_cohort,
)
from scanlearn.prediction.representation.slice_embedding import (
    SliceEmbedder,
    SliceVectors,
)
from scanlearn.prediction.representation.slice_scans import (
    SliceScan,
    cohort_slice_scans,
    file_slice_scans,
)
from scanlearn.runs.events import Message, Step
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.read import OnUneven

Level = Literal["scan", "slice", "patch"]


@dataclass(frozen=True, eq=False)
class Embedding:
    """Vectors with their names.

    Parameters
    ----------
    ids
        (n,) scan keys, or numbers of given patches.
    vectors
        (n, d) float32.
    more
        Further arrays with a first axis of n, by name.
    """

    ids: NDArray[np.generic]
    vectors: Vectors
    more: dict[str, NDArray[np.generic]] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write an ``.npz``, whole or not at all."""
        with written_beside(path) as draft, draft.open("wb") as stream:
            arrays: dict[str, Any] = {"ids": self.ids, "vectors": self.vectors}
            np.savez(stream, **(arrays | self.more))


def embed(
    run: RunFolder,
    source: Path,
    *,
    level: Level | None = None,
    pool: Pool | Literal["holistic"] | None = None,
    precision: Precision = "fp32",
    series: str = "",
    on_uneven: OnUneven = "refuse",
    tell: Tell = lambda event: None,
) -> Embedding:
    """Embed a cohort, a scan, a folder of scans, or an ``.npz`` of patches.

    Parameters
    ----------
    run
        A pre-training run.
    source
        Where the scans are; an ``.npz`` holds ``patches`` (n, S, S, S) and
        ``locations`` (n, 3) in the encoder's normalised coordinates.
    level
        ``scan``: one vector a scan. ``patch``: one a landmark, with ``landmarks``
        (n,), ``locations`` (n, 3), ``positions`` (n, 3) in LPS millimetres and
        ``lung_share`` (n,). ``slice``, of joint runs: one a slice, with ``slices``
        (n,) from the head down and ``positions``. By default that of the input.
    pool
        How the landmarks or slices of a scan become one vector; ``holistic`` takes the
        transformer's, the default where it was trained and all scans are volumes.
    precision, series
        See :class:`Embedder`; only the series with this UID.
    on_uneven
        As in :func:`scanlearn.scans.read.read_scan`.
    tell
        Given an event for every step and remark.
    """
    if isinstance(read_card(run.path), SliceEncoderCard):
        return _embed_slices(
            SliceEmbedder(run.path, precision=precision),
            source,
            level=level,
            pool=pool,
            series=series,
            on_uneven=on_uneven,
            tell=tell,
        )
    if pool == "holistic":
        raise BadConfig(
            "A DrasCLR encoder has no holistic vector",
            expected="--pool mean or --pool lungs",
            next_step="Choose one of them",
        )
    if level == "slice":
        raise BadConfig(
            "A DrasCLR encoder has no slice level: it sees patches in three dimensions",
            expected="--level scan or --level patch",
            next_step="Choose one of them",
        )
    embedder = Embedder(run.path, precision=precision)
    if source.suffix == ".npz":
        return _embed_patches(embedder, source, level, tell)
    progress = _telling(tell)
    if is_cohort(source):
        scans = cohort_scans(source, embedder.card, tell)
        rows = embedder.scans(scans, progress=progress)
    else:
        # One at a time: their volumes are in memory.
        found = file_scans(
            source, embedder.card, tell, series=series, on_uneven=on_uneven
        )
        rows = [embedder.scans([scan], progress=progress)[0] for scan in found]
        if not rows:
            raise BadScan(f"No scan of {source} could be used")
    if level == "patch":
        return _patch_level(rows, embedder)
    return _scan_level(rows, pool or "mean")


def _embed_slices(
    embedder: SliceEmbedder,
    source: Path,
    *,
    level: Level | None,
    pool: str | None,
    series: str,
    on_uneven: OnUneven,
    tell: Tell,
) -> Embedding:
    if level == "patch" or pool == "lungs" or source.suffix == ".npz":
        raise BadConfig(
            "An encoder of slices has no patches in three dimensions and no lungs",
            expected="cohort or scans, --level scan or slice, --pool mean or holistic",
            next_step="Choose these, or a DrasCLR run",
        )
    card = embedder.card
    if is_cohort(source):
        scans: Iterable[SliceScan] = cohort_slice_scans(source, card, tell)
    else:
        scans = file_slice_scans(source, card, tell, series=series, on_uneven=on_uneven)
    rows = []
    for number, scan in enumerate(scans, start=1):
        rows.append(embedder.scan(scan))
        tell(Step(step=number, values={}))
    if not rows:
        raise BadScan(f"No scan of {source} could be used")
    if level == "slice":
        return _slice_level(rows)
    return _volume_level(rows, pool)


def _slice_level(rows: list[SliceVectors]) -> Embedding:
    sizes = [len(row.slices) for row in rows]
    return Embedding(
        np.repeat([row.key for row in rows], sizes),
        np.concatenate([row.slices for row in rows]),
        {
            "patients": np.repeat([row.patient for row in rows], sizes),
            "slices": np.concatenate([np.arange(n) for n in sizes]),
            "positions": np.concatenate([row.positions for row in rows]),
        },
    )


def _volume_level(rows: list[SliceVectors], pool: str | None) -> Embedding:
    whole = [row.holistic for row in rows if row.holistic is not None]
    if pool == "holistic" and len(whole) < len(rows):
        raise BadConfig(
            f"{len(rows) - len(whole)} of {len(rows)} scans have no holistic vector: "
            "they are radiographs, or the transformer was not trained",
            expected="volumes, and a run whose stages went beyond images alone",
            next_step="Choose --pool mean",
        )
    if pool != "mean" and len(whole) == len(rows):
        vectors = np.stack(whole)
    else:
        vectors = np.stack([row.mean for row in rows])
    return Embedding(
        np.array([row.key for row in rows]),
        vectors,
        {"patients": np.array([row.patient for row in rows])},
    )


def _scan_level(rows: list[ScanVectors], pool: Pool) -> Embedding:
    return Embedding(
        np.array([row.key for row in rows]),
        np.stack([row.pooled(pool) for row in rows]),
        {"patients": np.array([row.patient for row in rows])},
    )


def _patch_level(rows: list[ScanVectors], embedder: Embedder) -> Embedding:
    landmarks = embedder.atlas.landmarks
    n, places = len(rows), len(landmarks)
    return Embedding(
        np.repeat([row.key for row in rows], places),
        np.concatenate([row.vectors for row in rows]),
        {
            "patients": np.repeat([row.patient for row in rows], places),
            "landmarks": np.tile(np.arange(places), n),
            "locations": np.tile(landmarks, (n, 1)),
            "positions": np.concatenate([row.positions for row in rows]),
            "lung_share": np.concatenate([row.lung_share for row in rows]),
        },
    )


def _embed_patches(
    embedder: Embedder, path: Path, level: Level | None, tell: Tell
) -> Embedding:
    if level == "scan":
        raise BadConfig(
            f"{path} holds patches, which make no scan",
            expected="--level patch",
            next_step="Leave --level out, or name a cohort or a scan",
        )
    patches, locations = _read_patches(path)
    side, own = patches.shape[1], embedder.card.patch_voxels
    if side < own:
        raise BadScan(
            f"The patches of {path} have sides of {side} voxels",
            expected=f"patches of {own} voxels, as the encoder was trained on",
            next_step=f"Cut larger patches, of {min(embedder.card.spacing_mm):g} mm "
            "voxels",
        )
    if side > own:
        text = f"the encoder was trained on patches of {own} voxels, these have {side}"
        tell(Message(text=text, severity="warning"))
    vectors = embedder.patches(patches, locations, progress=_telling(tell))
    return Embedding(np.arange(len(patches)), vectors, {"locations": locations})


def _read_patches(path: Path) -> tuple[NDArray[np.generic], NDArray[np.float32]]:
    wanted = "'patches' (n, S, S, S) and 'locations' (n, 3), finite numbers"
    try:
        with np.load(path, allow_pickle=False) as content:
            patches, locations = content["patches"], content["locations"]
    except (OSError, ValueError, KeyError, BadZipFile) as problem:
        raise BadScan(f"{path} holds no patches ({problem})", expected=wanted) from None
    fits = (
        patches.ndim == 4
        and len(set(patches.shape[1:])) == 1
        and locations.shape == (len(patches), 3)
        and patches.dtype.kind in "iuf"
        and locations.dtype.kind in "iuf"
        and np.isfinite(patches).all()
        and np.isfinite(locations).all()
    )
    if not fits or not len(patches):
        raise BadScan(
            f"{path} has patches of shape {patches.shape} and locations of shape "
            f"{locations.shape}, or values that are no numbers",
            expected=wanted,
        )
    return patches, locations.astype(np.float32)


def _telling(tell: Tell) -> Progress:
    return lambda done, total: tell(Step(step=done, values={"total": float(total)}))
