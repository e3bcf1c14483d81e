"""Connected pieces of label maps."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scanlearn.anatomy.morphology import Mask

#: Voxels that touch, if only at a corner, are one piece.
_TOUCHING = np.ones((3, 3, 3), dtype=bool)

#: What lies beside the largest piece of a class by a slip of the hand.
_CRUMBS = 0.02


def largest_piece(mask: Mask) -> Mask:
    """Return the largest connected piece of a mask; of equal ones the first."""
    pieces, count = ndimage.label(mask, _TOUCHING)
    if count < 2:
        return mask
    sizes = np.bincount(pieces.ravel())[1:]
    return np.asarray(pieces == 1 + sizes.argmax())


def with_largest_pieces(
    labels: NDArray[np.uint8], values: Collection[int], *, together: bool = False
) -> NDArray[np.uint8]:
    """Return labels in which some classes keep their largest piece alone.

    What is taken away becomes background.

    Parameters
    ----------
    labels
        0 is background.
    values
        Of those classes.
    together
        Whether the largest piece of all classes taken as one is kept before: a large
        mistake elsewhere then takes no class's place.
    """
    kept = labels.copy()
    if together:
        kept[~largest_piece(labels > 0)] = 0
    for value in values:
        mask = kept == value
        kept[mask & ~largest_piece(mask)] = 0
    return kept


def is_one_piece(mask: Mask) -> bool:
    """Whether a mask is one connected piece, crumbs of 2 % aside; an empty one is."""
    whole = np.count_nonzero(mask)
    return bool(np.count_nonzero(largest_piece(mask)) >= (1 - _CRUMBS) * whole)
