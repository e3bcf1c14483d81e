"""Where the words beside rings go, so that none covers another or a ring."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

#: Between a ring and its words, as a share of the height of a line.
_GAP = 0.3


def lay_out(
    middles: NDArray[np.float64],
    reaches: NDArray[np.float64],
    sizes: NDArray[np.float64],
    depths: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the middles (n, 2) of words beside rings.

    Words stand at the right of their ring, else at the left, else in the next line that
    is free, up or down.

    Parameters
    ----------
    middles, reaches
        (n, 2) middle and half size of each ring's box: down and right.
    sizes
        (n, 2) height and width of the words, in the same unit.
    depths
        (n, 2) first and last slice that shows the ring: only words and rings that are
        seen together must keep apart.
    """
    words = np.zeros_like(middles)
    rings = _boxes(middles, reaches)
    placed = np.zeros((0, 4))
    for number, (middle, reach, size) in enumerate(
        zip(middles, reaches, sizes, strict=True)
    ):
        together = (depths[:, 0] <= depths[number, 1]) & (
            depths[:, 1] >= depths[number, 0]
        )
        taken = np.vstack([rings[together], placed[together[:number]]])
        for at in _places(middle, reach, size):
            box = _boxes(at[None], size[None] / 2)[0]
            if not _meets(box, taken):
                break
        words[number] = at
        placed = np.vstack([placed, box])
    return words


def _places(
    middle: NDArray[np.float64], reach: NDArray[np.float64], size: NDArray[np.float64]
) -> Iterator[NDArray[np.float64]]:
    """Yield places beside a ring, the best first; their lines go on for ever."""
    aside = reach[1] + size[1] / 2 + _GAP * size[0]
    line = 0
    while True:
        for down in {line, -line}:
            for right in (aside, -aside):
                yield middle + np.array([down * size[0], right])
        line += 1


def _boxes(
    middles: NDArray[np.float64], reaches: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return (n, 4) first row, first column, last row, last column."""
    return np.hstack([middles - reaches, middles + reaches])


def _meets(box: NDArray[np.float64], others: NDArray[np.float64]) -> bool:
    apart = (others[:, :2] >= box[2:]) | (others[:, 2:] <= box[:2])
    return bool((~apart.any(axis=1)).any())
