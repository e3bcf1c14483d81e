"""Voxel values: the smallest exact type, gaps that are no numbers, guessed units."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadScan
from scanlearn.scans.scan import Acquisition, Problem

#: Values of air in Hounsfield units; a CT has some, an MR or a mask has none.
AIR_HU = (-1100.0, -900.0)
#: ... in at least this part of the voxels.
AIR_FRACTION = 0.005
#: Hounsfield units lie in here (metal and padding included).
POSSIBLE_HU = (-10_000.0, 32_767.0)


def smallest_exact(
    stored: NDArray[np.generic], slope: float, intercept: float
) -> NDArray[np.generic]:
    """Return ``stored * slope + intercept`` in the smallest type that keeps it exact.

    Whole numbers stay whole: unscaled in their own type, scaled in int16 or int32. All
    other values become float32, unless they are float64 that float32 would change.
    """
    if slope == 1 and intercept == 0:
        return _narrowed(stored) if stored.dtype.kind == "f" else stored
    if stored.dtype.kind in "iu" and slope.is_integer() and intercept.is_integer():
        ends = [int(stored.min()), int(stored.max())]
        scaled = [end * int(slope) + int(intercept) for end in ends]
        for dtype in (np.int16, np.int32):
            limits = np.iinfo(dtype)
            if limits.min <= min(scaled) and max(scaled) <= limits.max:
                whole = stored.astype(np.int64) * int(slope) + int(intercept)
                return np.asarray(whole.astype(dtype))
    return (stored.astype(np.float64) * slope + intercept).astype(np.float32)


def _narrowed(values: NDArray[np.generic]) -> NDArray[np.generic]:
    narrow = values.astype(np.float32)
    if values.dtype.itemsize <= 4 or np.array_equal(narrow, values, equal_nan=True):
        return narrow
    return values


def without_gaps(
    voxels: NDArray[np.generic], path: Path
) -> tuple[NDArray[np.generic], list[Problem]]:
    """Set voxels that are no finite number to the least finite one, and say so.

    Raises
    ------
    BadScan
        No voxel is finite.
    """
    if voxels.dtype.kind != "f":
        return voxels, []
    finite = np.isfinite(voxels)
    count = int(voxels.size - np.count_nonzero(finite))
    if not count:
        return voxels, []
    if count == voxels.size:
        raise BadScan(
            f"{path} holds no finite voxel: all {count} are NaN or infinite",
            expected="numbers",
            next_step="Make the file again from its source",
        )
    lowest = voxels[finite].min()
    filled = np.where(finite, voxels, lowest)
    text = (
        f"{path}: {count} of {voxels.size} voxels are NaN or infinite; "
        f"they were set to the least value, {float(lowest):g}"
    )
    action = "Make the file again from its source if these voxels matter"
    return filled, [Problem("not_finite", "warning", text, action)]


def guess_acquisition(
    voxels: NDArray[np.generic], *, description: str
) -> tuple[Acquisition, list[Problem]]:
    """Tell Hounsfield units from the values of a file that does not name its units."""
    if voxels.dtype.kind == "u" or not voxels.size:
        return Acquisition(description=description), []
    low, high = float(voxels.min()), float(voxels.max())
    in_air = np.greater_equal(voxels, AIR_HU[0]) & np.less_equal(voxels, AIR_HU[1])
    is_ct = (
        POSSIBLE_HU[0] <= low <= AIR_HU[1]
        and 0 < high <= POSSIBLE_HU[1]
        and np.count_nonzero(in_air) >= AIR_FRACTION * voxels.size
    )
    if not is_ct:
        return Acquisition(description=description), []
    text = "taken for CT in Hounsfield units because it holds values of air"
    found = Acquisition(modality="CT", units="HU", description=description)
    return found, [Problem("units_guessed", "note", text)]
