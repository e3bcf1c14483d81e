"""Which classes of a segmentation are one piece, as far as its labels tell."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from scanlearn.anatomy.pieces import is_one_piece
from scanlearn.nets.segmentation_loss import IGNORE
from scanlearn.tasks.shared.label_tiles import LabelledScan


def is_one_body(scans: Sequence[LabelledScan]) -> bool:
    """Whether all classes together are one piece in every wholly labelled scan."""
    dense = _wholly_labelled(scans)
    return bool(dense) and all(is_one_piece(labels > 0) for labels in dense)


def whole_classes(scans: Sequence[LabelledScan], classes: int) -> tuple[int, ...]:
    """Return the class numbers that are one piece in every wholly labelled scan.

    To keep the largest piece alone of such a class cannot hurt these scans. Scans with
    unlabelled voxels tell nothing, for pieces may meet there; without others no class
    is known to be whole.

    Parameters
    ----------
    scans
        Labelled scans.
    classes
        How many, without the background.
    """
    dense = _wholly_labelled(scans)
    return tuple(
        number
        for number in range(1, classes + 1)
        if any((labels == number).any() for labels in dense)
        and all(is_one_piece(labels == number) for labels in dense)
    )


def _wholly_labelled(scans: Sequence[LabelledScan]) -> list[NDArray[np.uint8]]:
    return [scan.labels for scan in scans if not (scan.labels == IGNORE).any()]
