"""Placements that a cohort keeps: no training registers the same scan twice."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlearn.anatomy.landmarks import Atlas
from scanlearn.anatomy.placement import Placement
from scanlearn.cohort.atlas.atlas_quality import AtlasQuality, quality_of
from scanlearn.cohort.layout import Layout
from scanlearn.cohort.record import ScanRecord
from scanlearn.documents import parse_json
from scanlearn.files import write_text

#: A number for how scans are registered: another one makes kept placements void.
_WAY = 1


def keep_placement(
    layout: Layout, record: ScanRecord, atlas: Atlas, placement: Placement
) -> None:
    """Keep where an atlas lies in a scan, if the cohort can be written."""
    content = {
        "seen": _seen(layout, record),
        "atlas": atlas.hash,
        "matrix": placement.matrix.tolist(),
        "note": placement.note,
        "fit": quality_of(placement, atlas).to_dict(),
    }
    with contextlib.suppress(OSError):
        write_text(layout.placement(record.key, atlas.shape_hash), json.dumps(content))


def kept_placement(
    layout: Layout, record: ScanRecord, atlas: Atlas
) -> tuple[Placement, bool] | None:
    """Return where an atlas lies in a scan, if that was kept since the scan changed.

    Also whether its quality is that of this atlas's landmarks: of the same shape with
    others, how many of them miss the organ has to be counted anew.
    """
    kept = _read(layout, record, atlas.shape_hash)
    if kept is None:
        return None
    fit = kept.fit
    found = Placement(
        atlas.frame, kept.matrix, fit.method, atlas.hash, fit.quality, kept.note
    )
    return found, kept.atlas == atlas.hash


def kept_qualities(
    layout: Layout, records: Iterable[ScanRecord]
) -> dict[str, list[AtlasQuality]]:
    """Return how well atlases lay in scans, by key: all atlases that were tried."""
    shapes = sorted(path.name for path in layout.placements.glob("*") if path.is_dir())
    found: dict[str, list[AtlasQuality]] = {}
    for record in records:
        kept = (_read(layout, record, shape) for shape in shapes)
        found[record.key] = [one.fit for one in kept if one is not None]
    return found


@dataclass(frozen=True, eq=False)
class _Kept:
    """What one file holds."""

    atlas: str
    matrix: NDArray[np.float64]
    note: str
    fit: AtlasQuality


def _read(layout: Layout, record: ScanRecord, shape: str) -> _Kept | None:
    """Read what was kept; what cannot be understood is found anew."""
    try:
        text = layout.placement(record.key, shape).read_text(encoding="utf-8")
        content = parse_json(text)
        if content["seen"] != _seen(layout, record):
            return None
        return _Kept(
            content["atlas"],
            np.array(content["matrix"], dtype=np.float64).reshape(4, 4),
            content["note"],
            AtlasQuality.from_dict(content["fit"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _seen(layout: Layout, record: ScanRecord) -> str:
    """Return a hash of all that a registration depends on in a scan."""
    parts = {"source_hash", "shape", "affine", "frame", "right_lung_ml"}
    digest = hashlib.sha256(f"{_WAY} {record.model_dump_json(include=parts)}".encode())
    mask = layout.lungs(record.key)
    if record.lung_volume_ml is not None and mask.exists():
        digest.update(mask.read_bytes())
    return digest.hexdigest()[:16]
