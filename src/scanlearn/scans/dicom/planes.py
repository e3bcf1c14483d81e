"""Planes of DICOM frames and the grid they make up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.scans.geometry import Grid
from scanlearn.scans.turns import SAME_VOXEL


@dataclass(frozen=True, eq=False)
class Planes:
    """Frames that share size, orientation and spacing.

    Parameters
    ----------
    positions
        (n, 3) LPS millimetres of each frame's first pixel, in the file's order.
    row_step, column_step
        (3,) millimetres from one row, or column, to the next.
    shape
        Rows and columns.
    gap_mm
        Distance of neighbouring planes as the file states it; 0 where it does not.
    """

    positions: NDArray[np.float64]
    row_step: NDArray[np.float64]
    column_step: NDArray[np.float64]
    shape: tuple[int, int]
    gap_mm: float

    def grid(self) -> Grid | None:
        """Return the grid (planes, rows, columns) that holds every frame.

        Frames may repeat a plane or leave planes out; None where they do not lie on one
        lattice, such as slices at uneven distances.
        """
        normal = np.cross(self.column_step, self.row_step)
        normal /= np.linalg.norm(normal)
        height = self.positions @ normal
        # Some files state a wrong gap, and some leave planes out: try both.
        for gap in (self.gap_mm, _smallest_gap(height)):
            grid = self._lattice(height, normal, gap)
            if self.plane_numbers(grid) is not None:
                return grid
        return None

    def _lattice(
        self, height: NDArray[np.float64], normal: NDArray[np.float64], gap: float
    ) -> Grid:
        low, high = int(height.argmin()), int(height.argmax())
        count = round(float(height[high] - height[low]) / gap) if gap else 0
        step = normal * (gap or 1.0)
        if count:
            step = (self.positions[high] - self.positions[low]) / count
        affine = np.eye(4)
        affine[:3, :3] = np.column_stack([step, self.row_step, self.column_step])
        affine[:3, 3] = self.positions[low]
        return Grid((count + 1, *self.shape), affine)

    def plane_numbers(self, grid: Grid) -> NDArray[np.intp] | None:
        """Return which plane of a grid (planes, rows, columns) each frame lies on."""
        numbers = np.round(grid.to_index(self.positions)).astype(int)
        numbers[:, 1:] = 0
        off = np.linalg.norm(grid.to_patient(numbers) - self.positions, axis=1)
        steps = np.stack([self.row_step, self.column_step], axis=1)
        # A wrong in-plane step shows most at the last pixel.
        drift = np.abs(
            (grid.affine[:3, 1:3] - steps) * (np.array(self.shape) - 1)
        ).sum()
        fits = (
            max(off.max(), drift) <= SAME_VOXEL * min(grid.spacing_mm)
            and grid.shape[1:] == self.shape
            and numbers[:, 0].min() >= 0
            and numbers[:, 0].max() < grid.shape[0]
        )
        return numbers[:, 0] if fits else None


def _smallest_gap(height: NDArray[np.float64]) -> float:
    gaps = np.diff(np.sort(height))
    gaps = gaps[gaps > 1e-3]
    return float(gaps.min()) if len(gaps) else 0.0


def planes_of(files: list[Any]) -> Planes:
    """Collect the planes of classic slices or of one multi-frame dataset.

    Raises
    ------
    ValueError
        If frames differ in size, orientation or spacing.
    """
    frames = [frame for dataset in files for frame in _frames(dataset)]
    positions = np.array([frame[0] for frame in frames], dtype=np.float64)
    layout = np.array(
        [np.concatenate(frame[1:3]) for frame in frames], dtype=np.float64
    )
    sizes = {(int(dataset.Rows), int(dataset.Columns)) for dataset in files}
    if np.ptp(layout, axis=0).max() > 1e-4 or len(sizes) > 1:
        raise ValueError("frames differ in size, orientation or pixel spacing")
    along_row, down_column, spacing = layout[0, :3], layout[0, 3:6], layout[0, 6:]
    return Planes(
        positions,
        row_step=down_column * spacing[0],
        column_step=along_row * spacing[1],
        shape=sizes.pop(),
        gap_mm=frames[0][3],
    )


Frame = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]


def _frames(dataset: Any) -> list[Frame]:
    """Return position, orientation, pixel spacing and stated gap of each frame."""
    if "PerFrameFunctionalGroupsSequence" not in dataset:
        return [_frame(dataset, dataset, dataset, gap=0.0)]
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [{}])[0]
    frames = []
    for own in dataset.PerFrameFunctionalGroupsSequence:
        position = _group("PlanePositionSequence", own, shared)
        orientation = _group("PlaneOrientationSequence", own, shared)
        measures = _group("PixelMeasuresSequence", own, shared)
        gap = float(measures.get("SpacingBetweenSlices") or 0.0)
        frames.append(_frame(position, orientation, measures, gap=abs(gap)))
    return frames


def _group(name: str, own: Any, shared: Any) -> Any:
    return own[name][0] if name in own else shared[name][0]


def _frame(position: Any, orientation: Any, measures: Any, *, gap: float) -> Frame:
    return (
        np.array(position.ImagePositionPatient, dtype=np.float64),
        np.array(orientation.ImageOrientationPatient, dtype=np.float64),
        np.array(measures.PixelSpacing, dtype=np.float64),
        gap,
    )
