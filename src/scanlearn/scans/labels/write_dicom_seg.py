"""DICOM-SEG out: one segment a class, each frame tied to the slice it was made from."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadLabels
from scanlearn.files import written_beside
from scanlearn.scans.dicom.planes import planes_of
from scanlearn.scans.geometry import Grid
from scanlearn.scans.labels.label_arrays import LabelArray, as_labels
from scanlearn.scans.labels.read_dicom_seg import read_dicom_seg
from scanlearn.scans.labels.segments import describe_segments, read_source_headers
from scanlearn.scans.turns import find_turn
from scanlearn.version import __version__

#: At most 64 characters, and the first thing a viewer shows.
SERIES_DESCRIPTION = "scanlearn segmentation. Not for clinical use"

_MANUFACTURER = "napari-scanlearn"

#: Far from the numbers that scanners give, so that it sorts after the images.
_SERIES_NUMBER = 9001

#: Largest cosine between axes that counts as a right angle.
_ORTHOGONAL_TOLERANCE = 1e-4


def write_dicom_seg(
    path: Path,
    labels: NDArray[Any],
    grid: Grid,
    *,
    source_files: Sequence[Path],
    names: Mapping[int, str],
) -> None:
    """Write a label map as a binary DICOM segmentation of its source series.

    Parameters
    ----------
    path
        File to write.
    labels
        Whole numbers, shape ``grid.shape``; label n becomes segment n.
    grid
        Where the labels are. In any axis order of the source series' own grid they are
        stored frame by frame on its slices; any other grid with rows and columns at
        right angles is stored with its own planes.
    source_files
        Every slice of the source series, or its one multi-frame file.
    names
        Class names by label; other labels are named by their number.

    Raises
    ------
    BadLabels
        If there is no class, the source is not one series, the grid cannot be stored in
        DICOM, or the file differs when read again; no file is left behind.
    """
    path = Path(path)
    if labels.shape != grid.shape:
        raise ValueError(f"labels {labels.shape} do not fill the grid {grid.shape}")
    kept = as_labels(labels, path.name)
    highest = max([int(kept.max()), *names])
    if highest == 0:
        raise BadLabels(
            f"there is no class to write to {path.name}",
            expected="labels above 0, or class names",
            next_step="Name the classes, or save as NIfTI.",
        )
    sources = read_source_headers(source_files)
    with warnings.catch_warnings():
        # They would print the patient's name.
        warnings.filterwarnings("ignore", message=".*person name", module="highdicom")
        segmentation = _segmentation(path, kept, grid, sources, names, highest)
    with written_beside(path) as beside:
        segmentation.save_as(beside)
        stored = read_dicom_seg(beside, like=grid).labels
        if not np.array_equal(stored, kept):
            raise BadLabels(
                f"{path.name} was written, but differs when it is read again",
                expected="the same labels as in memory",
                next_step="Save as NIfTI instead, and report the scan's geometry.",
            )


def _segmentation(
    path: Path,
    labels: LabelArray,
    grid: Grid,
    sources: list[Any],
    names: Mapping[int, str],
    highest: int,
) -> Any:
    import highdicom as hd

    framed = _on_frames(labels, grid, sources)
    geometry: dict[str, Any] = {}
    if framed is None:
        pixels, geometry = _on_own_planes(path, labels, grid)
    else:
        pixels, sources = framed
    return hd.seg.Segmentation(
        source_images=sources,
        pixel_array=pixels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=describe_segments(names, highest),
        series_instance_uid=hd.UID(),
        series_number=_SERIES_NUMBER,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer=_MANUFACTURER,
        manufacturer_model_name=_MANUFACTURER,
        software_versions=__version__,
        device_serial_number="none",
        content_label="SEGMENTATION",
        content_description="Not for clinical use",
        series_description=SERIES_DESCRIPTION,
        **geometry,
    )


def _on_frames(
    labels: LabelArray, grid: Grid, sources: list[Any]
) -> tuple[LabelArray, list[Any]] | None:
    """Return the labels frame by frame with the sources in the same order.

    None where the grid is not that of the source frames, plane for plane.
    """
    planes = planes_of(sources)
    lattice = planes.grid()
    turn = None if lattice is None else find_turn(grid, lattice)
    if lattice is None or turn is None:
        return None
    numbers = planes.plane_numbers(lattice)
    if numbers is None or sorted(numbers) != list(range(lattice.shape[0])):
        return None
    frames = turn.voxels(labels)
    if len(sources) == 1:
        return frames[numbers], sources
    return frames, [sources[k] for k in np.argsort(numbers)]


def _on_own_planes(
    path: Path, labels: LabelArray, grid: Grid
) -> tuple[LabelArray, dict[str, Any]]:
    """Return the labels on planes of their own grid, and where those are."""
    import highdicom as hd

    cosines = grid.directions.T @ grid.directions
    for axis in range(3):
        row, column = (k for k in range(3) if k != axis)
        if abs(cosines[row, column]) < _ORTHOGONAL_TOLERANCE:
            break
    else:
        raise BadLabels(
            f"the grid of {path.name} is sheared in every plane",
            expected="two axes at right angles, as DICOM stores frames",
            next_step="Save as NIfTI instead.",
        )
    starts = np.zeros((grid.shape[axis], 3))
    starts[:, axis] = np.arange(grid.shape[axis])
    spacing = grid.spacing_mm
    orientation = np.concatenate([grid.directions[:, column], grid.directions[:, row]])
    geometry = {
        "plane_positions": [
            hd.PlanePositionSequence("PATIENT", position.tolist())
            for position in grid.to_patient(starts)
        ],
        "plane_orientation": hd.PlaneOrientationSequence(
            "PATIENT", orientation.tolist()
        ),
        "pixel_measures": hd.PixelMeasuresSequence(
            pixel_spacing=(spacing[row], spacing[column]), slice_thickness=spacing[axis]
        ),
    }
    return np.moveaxis(labels, axis, 0), geometry
