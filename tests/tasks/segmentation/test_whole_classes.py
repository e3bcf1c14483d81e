"""Which classes are one piece: by hand."""

from __future__ import annotations

import numpy as np

from scanlearn.nets.segmentation_loss import IGNORE
from scanlearn.tasks.segmentation.whole_classes import is_one_body, whole_classes
from scanlearn.tasks.shared.label_tiles import LabelledScan


def scan(*rows: str) -> LabelledScan:
    """Return a scan of one slice; a dot is background, a question mark unlabelled."""
    values = {".": 0, "?": IGNORE}
    labels = [[values.get(c, ord(c) - ord("0")) for c in row] for row in rows]
    return LabelledScan(0, "P", np.array([labels], np.uint8))


def test_a_class_in_two_pieces_anywhere_is_not_whole() -> None:
    one, other = scan("11..22", "11..22"), scan("11.1.2", "11.1.2")
    assert whole_classes([one], 2) == (1, 2)
    assert whole_classes([one, other], 2) == (2,)


def test_classes_that_touch_are_one_body() -> None:
    assert is_one_body([scan("1122."), scan("..12.")])
    assert not is_one_body([scan("1122."), scan("1..2.")])
    assert not is_one_body([scan("12?..")])


def test_pieces_that_touch_at_a_corner_are_one() -> None:
    assert whole_classes([scan("1..", ".1.", "..1")], 1) == (1,)


def test_unlabelled_voxels_may_join_pieces_so_such_a_scan_says_nothing() -> None:
    gap, whole = scan("11?11"), scan(".111.")
    assert whole_classes([gap], 1) == ()
    assert whole_classes([gap, whole], 1) == (1,)


def test_a_class_that_nobody_has_seen_is_not_known_to_be_whole() -> None:
    assert whole_classes([scan("11...")], 2) == (1,)
