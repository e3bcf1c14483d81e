"""A scan in memory, prepared exactly as the cohort of a training was prepared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scanlearn.anatomy.body import body_labels
from scanlearn.anatomy.frames import FrameKind, Locator, frame_of_field
from scanlearn.anatomy.label_mask import LabelMask
from scanlearn.anatomy.landmarks import Atlas
from scanlearn.anatomy.lungs import LungMask
from scanlearn.anatomy.placement import Placement, place
from scanlearn.cohort.intensity import normalised as as_stored
from scanlearn.cohort.preparation.prepare_one import stored_units
from scanlearn.cohort.ready_scan import ReadyScan, ready_scan
from scanlearn.cohort.working import pooled_mean
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadScan
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Scan


@dataclass(frozen=True, eq=False)
class ReadyVolume:
    """What a network is given of a scan.

    Parameters
    ----------
    voxels, grid
        Stored intensities, float32, on the working grid.
    frame
        What locations refer to.
    lungs
        Lung mask of a CT.
    outside
        Stored intensity beyond the field of view.
    """

    voxels: NDArray[np.float32]
    grid: Grid
    frame: Locator
    lungs: LungMask | None
    outside: float


def ready_volume(
    scan: Scan,
    *,
    units: Literal["HU", "zscore", "unit"],
    kind: FrameKind,
    stored_spacing_mm: tuple[float, float, float],
    factor: int,
    atlas: Atlas | None = None,
) -> ReadyVolume:
    """Prepare a scan for a network.

    Parameters
    ----------
    scan
        As it was read.
    units, kind
        What the network was trained on: intensities, and what locations refer to.
    stored_spacing_mm, factor
        Voxel size of its cohort, and how many of these made a working voxel.
    atlas
        What its locations refer to; the scan's own box without one.

    Raises
    ------
    BadScan
        If the scan is of another kind.
    """
    found = stored_units(scan)
    if found != units or scan.is_radiograph:
        raise wrong_units(found, units)
    ready = ready_scan(scan, PrepareConfig(spacing_mm=stored_spacing_mm))
    frame: Locator = ready.frame if atlas is None else _placed(ready, units, atlas)
    if frame.kind != kind:
        raise BadScan(
            f"The model's locations refer to the {kind}, but in this scan only the "
            f"{frame.kind} was found",
            expected=f"a scan that shows the {kind}",
            next_step="Look at the scan: is it of the same body part?",
        )
    stored, intensity = as_stored(ready.voxels, units)
    return ReadyVolume(
        voxels=pooled_mean(stored, factor),
        grid=ready.grid.pooled(factor),
        frame=frame,
        lungs=ready.lungs,
        outside=intensity.outside,
    )


def wrong_units(found: str, units: str) -> BadScan:
    """Return the error of a scan of another modality than the training's."""
    return BadScan(
        f"The scan's intensities are {found}, the model was trained on {units}",
        expected="a scan of the same modality as the training scans",
        next_step="Choose another scan or another model",
    )


def place_ready(ready: ReadyScan, units: str, atlas: Atlas) -> Placement:
    """Carry an atlas to a scan in memory; look at ``is_usable`` before it is used."""
    labels, box = None, ready.frame
    if atlas.coords == "field":
        box = frame_of_field(ready.grid)
    elif atlas.kind == "body" and atlas.labels is not None:
        hounsfield = units == "HU"
        labels = body_labels(ready.voxels, ready.grid, hounsfield=hounsfield)
    elif ready.lungs is not None:
        labels = LabelMask(ready.lungs.mask, ready.lungs.grid)
    return place(atlas, labels, box)


def _placed(ready: ReadyScan, units: str, atlas: Atlas) -> Placement:
    found = place_ready(ready, units, atlas)
    if not found.is_usable:
        raise BadScan(
            f"The model's locations refer to the {atlas.kind}, which could not be "
            f"placed in this scan: {'; '.join(found.problems)}",
            expected=f"a scan that shows the {atlas.kind}",
            next_step="Look at the scan: is it of the same body part?",
        )
    return found
