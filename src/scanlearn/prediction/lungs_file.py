"""``NAME_lungs.npz``: the lung mask of a predicted scan, to tell places by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.anatomy.lungs import LungMask
from scanlearn.files import written_beside
from scanlearn.scans.geometry import Grid

#: What the names of such files end in.
LUNGS = "lungs.npz"


def write_lungs(path: Path, lungs: LungMask) -> None:
    """Write a lung mask."""
    with written_beside(path) as part, part.open("wb") as stream:
        np.savez_compressed(stream, mask=lungs.mask, affine=lungs.grid.affine)


def read_lungs(path: Path) -> tuple[NDArray[np.uint8], Grid]:
    """Read a mask (0 outside, 1 right, 2 left) and its grid.

    Raises
    ------
    OSError, ValueError, KeyError
        If the file is not one.
    """
    with np.load(path, allow_pickle=False) as content:
        mask: NDArray[np.uint8] = content["mask"]
        return mask, Grid(mask.shape, content["affine"])
