"""A scan as trainings see it: turned, resampled, cropped, with its lungs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.anatomy.frames import Frame, frame_of
from scanlearn.anatomy.lungs import LungMask, lung_mask
from scanlearn.anatomy.morphology import bounding_box
from scanlearn.cohort.preparation.lung_masks import given_lungs
from scanlearn.cohort.preparation.spacing import Spacing
from scanlearn.cohort.quality.check_rules import own_problems
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadScan
from scanlearn.scans.geometry import Grid, canonical_grid, to_canonical_axes
from scanlearn.scans.resample import resample
from scanlearn.scans.scan import Problem, Scan

_CT_SPACING: Spacing = (1.0, 1.0, 1.0)

#: From this ratio of spacings on, sampling without a blur would alias; below it, cubic
#: B-splines alone keep the noise texture of the scan.
_COARSER = 1.5

_MOST_VOXELS = 2**31


@dataclass(frozen=True, eq=False)
class ReadyScan:
    """A scan turned, resampled and cropped, its intensities still those of the source.

    Parameters
    ----------
    voxels, grid
        On the canonical grid; a radiograph keeps its orientation.
    lungs
        Lung mask of a CT.
    frame
        What locations refer to.
    problems
        What reading, checking and masking found.
    """

    voxels: NDArray[np.generic]
    grid: Grid
    lungs: LungMask | None
    frame: Frame
    problems: tuple[Problem, ...]


def ready_scan(
    scan: Scan,
    config: PrepareConfig,
    *,
    mr_spacing_mm: Spacing | None = None,
    lung_mask_file: Path | None = None,
) -> ReadyScan:
    """Bring a scan onto the grid that trainings see.

    Parameters
    ----------
    scan
        As it was read.
    config
        Spacing and crop.
    mr_spacing_mm
        (S, P, L) spacing of scans that are not CT where the configuration names none;
        the scan's own by default.
    lung_mask_file
        A lung mask on the scan's grid, taken instead of a computed one.
    """
    if scan.is_radiograph:
        # A patch in Hounsfield units keeps its pixels: their texture is what counts.
        is_patch = scan.acquisition.units == "HU"
        size = max(scan.grid.shape) if is_patch else config.radiograph_size
        voxels, grid = _radiograph(scan, size)
        problems = (*scan.problems, *own_problems(scan))
        return ReadyScan(voxels, grid, None, frame_of(scan), problems)
    voxels, grid = to_canonical_axes(scan.voxels, scan.grid)
    turned = replace(scan, voxels=voxels, grid=grid)
    straight = scan.canonical()
    lungs = None
    if lung_mask_file is not None:
        lungs = given_lungs(lung_mask_file, scan, straight)
    elif scan.acquisition.units == "HU":
        lungs = lung_mask(straight)
    frame = frame_of(straight, lungs)
    spacing = _spacing(turned, config, mr_spacing_mm)
    target = canonical_grid(grid, spacing)
    if config.crop != "none":
        target = _cropped(target, _box_to_keep(straight, lungs, frame, config), config)
    problems = (
        *scan.problems,
        *own_problems(turned),
        *(lungs.problems if lungs else ()),
    )
    return ReadyScan(_resampled(turned, target), target, lungs, frame, problems)


def _spacing(
    scan: Scan, config: PrepareConfig, mr_spacing_mm: Spacing | None
) -> Spacing:
    given = config.spacing_mm
    if isinstance(given, tuple):
        return given
    if given is not None:
        return given, given, given
    if scan.acquisition.units == "HU":
        return _CT_SPACING
    return mr_spacing_mm or scan.grid.spacing_mm


def _resampled(scan: Scan, grid: Grid) -> NDArray[np.generic]:
    """Sample by cubic B-splines; values stay within those of the scan."""
    if np.prod(grid.shape, dtype=np.int64) > _MOST_VOXELS:
        raise BadScan(
            f"at this spacing the scan would have {grid.shape} voxels",
            expected="fewer than 2 billion",
            next_step="Choose a larger spacing.",
        )
    hu = scan.acquisition.units == "HU"
    voxels = scan.voxels
    if voxels.dtype.kind != "f" and not hu:
        voxels = voxels.astype(np.float32)
    low, high = voxels.min(), voxels.max()
    ratio = np.divide(grid.spacing_mm, scan.grid.spacing_mm).max()
    sampled = resample(
        voxels,
        scan.grid,
        grid,
        order=3,
        outside=-1024.0 if hu else float(low),
        antialias=bool(ratio >= _COARSER),
    )
    # Splines overshoot at sharp edges; such values were never measured.
    return np.asarray(np.clip(sampled, min(low, -1024) if hu else low, high))


def _box_to_keep(
    scan: Scan, lungs: LungMask | None, frame: Frame, config: PrepareConfig
) -> NDArray[np.float64]:
    """Return two corners, LPS millimetres, of the box around the lungs or the body."""
    if config.crop == "lungs" and lungs is not None and lungs.volume_ml > 0:
        box = bounding_box(lungs.mask > 0)
        return lungs.grid.to_patient(
            [[s.start for s in box], [s.stop - 1 for s in box]]
        )
    body = frame_of(scan) if frame.kind == "lungs" else frame
    return np.array([body.low, body.high])


def _cropped(grid: Grid, corners: NDArray[np.float64], config: PrepareConfig) -> Grid:
    """Return the part of a grid in a box, with its margin."""
    margin = config.crop_margin_mm
    low, high = corners.min(axis=0) - margin, corners.max(axis=0) + margin
    ends, last = grid.to_index([low, high]), np.array(grid.shape) - 1
    start = np.clip(np.floor(ends.min(axis=0)), 0, last)
    stop = np.clip(np.ceil(ends.max(axis=0)), start, last)
    return grid.cropped(start, stop - start + 1)


def _radiograph(scan: Scan, size: int) -> tuple[NDArray[np.generic], Grid]:
    """Resample a projection image so that its long side has a number of pixels."""
    voxels = scan.voxels.astype(np.float32)
    longest = max(scan.grid.shape)
    factor = longest / size
    shape = [max(1, round(n / factor)) for n in scan.grid.shape[1:]]
    affine = scan.grid.affine.copy()
    affine[:3, 1:3] *= factor
    # The first pixel's corner stays where it is, so its centre moves.
    corner = np.array([0, (factor - 1) / 2, (factor - 1) / 2])
    affine[:3, 3] = scan.grid.to_patient(corner)
    grid = Grid((1, shape[0], shape[1]), affine)
    low = float(voxels.min())
    sampled = resample(
        voxels, scan.grid, grid, order=3, outside=low, antialias=factor > 1
    )
    return sampled, grid
