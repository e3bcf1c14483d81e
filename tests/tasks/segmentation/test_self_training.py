"""Self-training: which scans it labels, what is kept of them, and who stays apart."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from scanlearn.nets.segmentation_loss import IGNORE
from scanlearn.scans.geometry import Grid
from scanlearn.tasks.segmentation.self_training import (
    SelfTraining,
    complete,
    unlabelled_scans,
)
from scanlearn.tasks.shared.label_tiles import LabelledScan

GRID = Grid((4, 12, 12), np.eye(4))


def cohorts() -> SimpleNamespace:
    """Return five scans of four patients; the last is a CT."""
    scans = [
        SimpleNamespace(
            key=f"P{patient}-{n}",
            record=SimpleNamespace(patient=f"P{patient}"),
            units="HU" if n == 4 else "zscore",
            grid=GRID,
        )
        for n, patient in enumerate((0, 1, 2, 2, 3))
    ]
    return SimpleNamespace(scans=scans)


def labels(*sizes: int) -> np.ndarray:
    """Return a map with so many voxels of each class, each in a slice of its own."""
    found = np.zeros(GRID.shape, np.uint8)
    for number, size in enumerate(sizes, start=1):
        found[number].ravel()[:size] = number
    return found


def test_scans_of_those_who_are_kept_apart_are_not_looked_at() -> None:
    mine = [LabelledScan(0, "P0", labels(9))]
    assert unlabelled_scans(cohorts(), mine, "zscore", apart=()) == (1, 2, 3)
    assert unlabelled_scans(cohorts(), mine, "zscore", apart={"P2"}) == (1,)
    assert unlabelled_scans(cohorts(), mine, "HU", apart=()) == (4,)


@pytest.mark.parametrize(
    ("sizes", "kept"),
    [((60, 40), True), ((7, 5), True), ((6, 40), False), ((60, 0), False)],
)
def test_a_scan_that_lacks_a_class_is_left_out(sizes, kept) -> None:
    truths = [labels(60, 40), labels(70, 40), labels(10, 50)]
    assert complete(truths, {5: labels(*sizes)}) == ([5] if kept else [])


def test_a_class_that_some_patients_lack_may_be_missing() -> None:
    truths = [labels(60, 40), labels(60, 0)]
    assert complete(truths, {1: labels(50, 0)}) == [1]
    unpainted = labels(60, 40)
    unpainted[3] = IGNORE
    assert complete([unpainted], {1: labels(50, 40), 2: labels(50)}) == [1]


def test_labels_are_kept_whole_and_read_again(tmp_path) -> None:
    folder = tmp_path / "run" / "labels"
    mine = SelfTraining(cohorts(), (1, 2, 3), folder)
    assert mine.scans() == []
    guess = {1: labels(60, 40), 2: labels(60), 3: labels(80, 30)}
    truth = [LabelledScan(0, "P0", labels(60, 40))]
    mine.label(guess.__getitem__, truth)
    assert mine.kept() == [1, 3]
    one, three = mine.scans()
    assert (one.number, one.patient) == (1, "P1")
    assert np.array_equal(one.labels, guess[1])
    assert np.array_equal(three.labels, labels(80, 30))
    # Once more: what is no longer found is gone.
    mine.label({**guess, 1: labels(60)}.__getitem__, truth)
    assert mine.kept() == [3]
    assert np.array_equal(mine.scans()[0].labels, guess[3])
    assert [path.name for path in folder.parent.iterdir()] == ["labels"]
