"""Dense features of scans as files, from which a viewer answers clicks."""

from __future__ import annotations

from pathlib import Path

from scanlearn.errors import BadRun
from scanlearn.nets.dense_encoder import STRIDE, DenseEncoder
from scanlearn.prediction.each_scan import Tell
from scanlearn.prediction.representation.dense import dense_features
from scanlearn.prediction.representation.embedding import Embedder
from scanlearn.prediction.representation.encoder_scans import file_scans
from scanlearn.prediction.representation.likeness import (
    ENDING,
    FeatureMap,
    has_dense_map,
)
from scanlearn.runs.events import Step
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.read import OnUneven

#: Patches overlap: so many lie along the side of one.
_A_SIDE = 4

_FINEST_MM = 8.0


def write_features(
    run: RunFolder,
    source: Path,
    out: Path,
    *,
    stride_mm: float | None = None,
    series: str = "",
    on_uneven: OnUneven = "refuse",
    tell: Tell,
) -> list[Path]:
    """Encode scans densely and write ``NAME_features.npz`` of each.

    Parameters
    ----------
    run
        With an encoder of patches.
    source, series, on_uneven
        A scan or a folder of scans, and how they are read.
    out
        Folder to write into.
    stride_mm
        Distance of neighbouring patches; a quarter of a patch, but at least 8 mm, if
        not given, and for a dense encoder its own 8 voxels.
    tell
        Given an event for every step and remark.

    Raises
    ------
    BadRun
        If the encoder sees slices, or there is none.
    """
    if not has_dense_map(run.path):
        raise BadRun(
            f"{run.name} has no encoder that gives a dense map",
            expected="a run that DrasCLR pre-trained",
            next_step="Choose another run",
        )
    embedder = Embedder(run.path, precision="auto")
    stride = stride_mm or _usual(embedder)
    written = []
    for scan in file_scans(
        source, embedder.card, tell, series=series, on_uneven=on_uneven
    ):
        found = dense_features(
            embedder,
            scan,
            stride,
            progress=lambda n, m: tell(Step(step=n, values={"total": float(m)})),
        )
        path = out / f"{scan.key}{ENDING}"
        FeatureMap.of(found.features, found.known, found.grid).save(path)
        written.append(path)
    return written


def _usual(embedder: Embedder) -> float:
    voxel = min(embedder.card.spacing_mm)
    if isinstance(embedder.encoder, DenseEncoder):
        return STRIDE * voxel
    return max(_FINEST_MM, embedder.patch_mm / _A_SIDE)
