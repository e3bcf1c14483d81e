"""Where the slices of a series lie: order, spacing, tilt, gaps; all from positions.

Slices are ordered along the normal of their plane and the step between them is taken
from their positions, never from the thickness. A step that is not parallel to the
normal (a tilted gantry) is kept as it is: the grid is sheared, nothing is resampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlearn.scans.dicom.places import (
    JITTER_MM,
    heights_mm,
    jitter_mm,
    pixel_spacing_of,
    plane_axes,
)
from scanlearn.scans.dicom.slice_header import SliceHeader
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Problem

#: A sideways drift over the whole stack below this is rounding, not a tilt.
DRIFT_MM = 0.01
#: Steps that leave the normal by more than this are reported as a tilted gantry.
TILT_DEGREES = 0.1

RESAMPLE_ACTION = (
    "Choose to resample uneven slices (--uneven resample), or export the series again"
)


@dataclass(frozen=True, eq=False)
class Stack:
    """Slices in order with their grid.

    Parameters
    ----------
    slices
        Headers ordered along the slice normal.
    grid
        Grid of the voxels (slices, rows, columns); for an uneven stack the even grid
        onto which it can be resampled.
    problems
        What was found.
    places
        (n,) position of each slice on the grid's first axis, in steps; whole numbers
        0 … n-1 unless the stack is uneven.
    error
        Why this is no volume; empty where it is one.
    """

    slices: tuple[SliceHeader, ...]
    grid: Grid
    problems: tuple[Problem, ...]
    places: NDArray[np.float64]
    error: str = ""

    @property
    def uneven(self) -> Problem | None:
        """The problem that asks for a resampling along the normal, if any."""
        found = [p for p in self.problems if p.code in ("uneven", "missing")]
        return found[0] if found else None


def stack_slices(slices: Sequence[SliceHeader]) -> Stack:
    """Order parallel slices of one size and find their grid.

    Parameters
    ----------
    slices
        At least one header; all with the same orientation, size and pixel spacing, all
        at different positions.
    """
    order = np.argsort(heights_mm(slices), kind="stable")
    ordered = tuple(slices[i] for i in order)
    if len(ordered) == 1:
        return _single(ordered)
    positions = np.array([s.position for s in ordered])
    heights = heights_mm(ordered)
    problems: list[Problem] = []
    step, places, uneven = _even_steps(heights, positions)
    if uneven is not None:
        problems.append(uneven)
    normal = plane_axes(ordered[0].orientation)[2]
    step_vector, error = _step_vector(positions, normal, places, problems)
    count = round(float(places[-1])) + 1
    grid = _grid(ordered[0], positions[0], step_vector, count)
    problems += _overlap(ordered[0], step)
    return Stack(ordered, grid, tuple(problems), places, error)


def _even_steps(
    heights: NDArray[np.float64], positions: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64], Problem | None]:
    """Return the step in mm, each slice's place in steps, and what is uneven."""
    count = len(heights)
    step = (heights[-1] - heights[0]) / (count - 1)
    even = np.arange(count, dtype=np.float64)
    along = positions[0] + np.outer(even / (count - 1), positions[-1] - positions[0])
    if np.linalg.norm(positions - along, axis=1).max() <= jitter_mm(step):
        return float(step), even, None
    gaps = np.diff(heights)
    step = float(np.median(gaps))
    step = _refined(heights, step)
    places = (heights - heights[0]) / step
    near = np.abs(places - np.round(places)) * step <= jitter_mm(step)
    # Slices that do lie on the even lattice keep their values when it is filled.
    places = np.where(near, np.round(places), places)
    return step, places, _uneven_problem(heights, gaps, step)


def _refined(heights: NDArray[np.float64], step: float) -> float:
    """Return a step near ``step`` that divides the whole reach evenly."""
    reach = float(heights[-1] - heights[0])
    return reach / max(1, round(reach / step))


def _uneven_problem(
    heights: NDArray[np.float64], gaps: NDArray[np.float64], step: float
) -> Problem:
    tolerance = jitter_mm(step)
    missing = np.round(gaps / step).astype(int) - 1
    is_whole = np.abs(gaps - (missing + 1) * step) <= 2 * tolerance
    wrong = np.flatnonzero((missing > 0) | ~is_whole)
    listed = ", ".join(
        f"{heights[i]:.2f} to {heights[i + 1]:.2f} mm" for i in wrong[:5]
    )
    listed += f" and {len(wrong) - 5} more" if len(wrong) > 5 else ""
    if is_whole.all() and missing.min() >= 0 and len(wrong):
        total = int(missing.sum())
        noun = "slice is" if total == 1 else "slices are"
        text = f"{total} {noun} missing: {listed} where {step:.2f} mm was expected"
        return Problem("missing", "error", text, RESAMPLE_ACTION)
    if not len(wrong):
        text = f"slice distances vary from {gaps.min():.2f} to {gaps.max():.2f} mm"
        return Problem("uneven", "error", text, RESAMPLE_ACTION)
    text = f"uneven slice distances: {listed}, mostly {step:.2f} mm"
    return Problem("uneven", "error", text, RESAMPLE_ACTION)


def _step_vector(
    positions: NDArray[np.float64],
    normal: NDArray[np.float64],
    places: NDArray[np.float64],
    problems: list[Problem],
) -> tuple[NDArray[np.float64], str]:
    """Return the vector from one slice to the next; reports a tilt."""
    vector = (positions[-1] - positions[0]) / places[-1]
    off_line = positions - (positions[0] + np.outer(places, vector))
    sideways = off_line - np.outer(off_line @ normal, normal)
    shift = float(np.linalg.norm(sideways, axis=1).max())
    upright = float(vector @ normal)
    drift = float(np.linalg.norm(vector - upright * normal)) * places[-1]
    error = ""
    if shift > JITTER_MM:
        error = f"slices are shifted sideways by up to {shift:.1f} mm"
    if drift <= DRIFT_MM:
        return upright * normal, error
    cosine = upright / np.linalg.norm(vector)
    angle = float(np.degrees(np.arccos(np.minimum(1.0, cosine))))
    if angle > TILT_DEGREES:
        text = f"the gantry was tilted by {angle:.1f} degrees; the grid is sheared"
        action = "It is straightened when shown or prepared, which blurs it a little"
        problems.append(Problem("tilt", "warning", text, action))
    return vector, error


def _single(slices: tuple[SliceHeader, ...]) -> Stack:
    header = slices[0]
    thickness = header.slice_spacing or header.thickness or 1.0
    normal = plane_axes(header.orientation)[2]
    grid = _grid(header, np.array(header.position), normal * abs(thickness), 1)
    problem = Problem(
        "single_slice",
        "warning",
        f"{header.path.name} is a single slice",
        "Open the folder of the whole series to get a volume",
    )
    return Stack(slices, grid, (problem,), np.zeros(1))


def _grid(
    header: SliceHeader,
    origin: NDArray[np.float64],
    step: NDArray[np.float64],
    count: int,
) -> Grid:
    along_row, along_column, _ = plane_axes(header.orientation)
    spacing, _ = pixel_spacing_of(header)
    affine = np.eye(4)
    affine[:3, 0] = step
    affine[:3, 1] = along_column * spacing[0]
    affine[:3, 2] = along_row * spacing[1]
    affine[:3, 3] = origin
    return Grid((count, header.rows, header.columns), affine)


def _overlap(header: SliceHeader, step: float) -> list[Problem]:
    if header.thickness and header.thickness > step * 1.5:
        text = f"slices of {header.thickness:g} mm overlap: one every {step:.3g} mm"
        return [Problem("overlap", "note", text)]
    return []
