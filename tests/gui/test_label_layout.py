"""Words beside rings cover neither each other nor a ring that is seen with them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.gui.tasks.detection.label_layout import lay_out

RING = st.tuples(st.floats(0, 60), st.floats(0, 60), st.floats(1, 15), st.floats(0, 40))


def box(middle: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.concatenate([middle - size / 2, middle + size / 2])


def overlap(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(
        (np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]) > 1e-6).all()
    )


@given(st.lists(RING, max_size=12))
@settings(deadline=None, max_examples=80)
def test_nothing_that_is_seen_together_overlaps(rings: list[tuple[float, ...]]) -> None:
    table = np.array(rings).reshape(-1, 4)
    middles, reaches = table[:, :2], np.repeat(table[:, 2:3], 2, axis=1)
    depths = table[:, 3:4] + table[:, 2:3] * [-1, 1]
    sizes = np.tile([4.0, 18.0], (len(table), 1))
    words = lay_out(middles, reaches, sizes, depths)
    for n in range(len(table)):
        own = box(words[n], sizes[n])
        for m in range(len(table)):
            if depths[m, 0] > depths[n, 1] or depths[m, 1] < depths[n, 0]:
                continue
            assert not overlap(own, box(middles[m], 2 * reaches[m]))
            assert m == n or not overlap(own, box(words[m], sizes[m]))


def test_a_ring_alone_has_its_words_at_its_right() -> None:
    words = lay_out(
        np.array([[10.0, 20.0]]),
        np.array([[5.0, 5.0]]),
        np.array([[2.0, 8.0]]),
        np.array([[0.0, 1.0]]),
    )
    np.testing.assert_allclose(words, [[10.0, 20 + 5 + 4 + 0.6]])
