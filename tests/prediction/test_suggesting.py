"""Which scans next: by hand-made doubts and vectors, and from a real segmentation."""

from __future__ import annotations

import numpy as np
import pytest

from scanlearn.config.segmentation import ClassConfig
from scanlearn.prediction.uncertainty import PROBABILITY_STEPS
from scanlearn.scans.geometry import Grid
from scanlearn.tasks.segmentation.predict import doubt_of
from scanlearn.tasks.segmentation.segmenter import SegmentedScan
from scanlearn.tasks.shared.suggestion import Doubt, next_scans


def scan(key, doubt, vector, patient=None):
    return Doubt(key, patient or key, doubt, np.array(vector, dtype=float))


def test_doubt_alone_decides_where_nothing_else_is_known():
    scans = [scan("a", 0.1, [0]), scan("b", 0.9, [0]), scan("c", 0.5, [0])]
    found = next_scans(scans, [], count=3)
    assert [one.key for one in found] == ["b", "c", "a"]


def test_what_is_alike_is_suggested_once():
    east, north = [[5, 0.1], [5, -0.1]], [[0, 5]]
    scans = [
        scan("east 1", 0.9, east[0]),
        scan("east 2", 0.85, east[1]),
        scan("north", 0.4, north[0]),
    ]
    found = next_scans(scans, [[-5, -5]], count=2)
    assert [one.key for one in found] == ["east 1", "north"]
    # What is labelled already is not news, however doubtful.
    found = next_scans(scans, [[5.0, 0.0], [-5, -5]], count=1)
    assert found[0].key == "north"


def test_a_patient_is_suggested_once_while_there_are_others():
    scans = [
        scan("1a", 0.9, [1, 0], "one"),
        scan("1b", 0.9, [-1, 0], "one"),
        scan("2", 0.1, [0, 1], "two"),
    ]
    found = next_scans(scans, [], count=3)
    assert [one.patient for one in found] == ["one", "two", "one"]
    assert next_scans([], [], count=3) == []


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        ([0.5, 0.5, 0.0], np.log(2) / np.log(3)),
        ([1 / 3, 1 / 3, 1 / 3], 1.0),
        ([0.0, 1.0, 0.0], 0.0),
        ([1.0, 0.0, 0.0], 0.0),
    ],
)
def test_doubt_is_the_entropy_where_there_is_a_question(p, expected):
    """Half of the voxels are surely background and do not count."""
    shape = (2, 4, 4)
    probabilities = np.zeros((3, *shape), np.uint8)
    probabilities[0] = PROBABILITY_STEPS
    probabilities[:, 0] = np.rint(np.array(p) * PROBABILITY_STEPS)[:, None, None]
    affine = np.eye(4)[[2, 1, 0, 3]]
    classes = (ClassConfig(value=1, name="a"), ClassConfig(value=2, name="b"))
    found = SegmentedScan(
        probabilities.argmax(axis=0).astype(np.uint8),
        probabilities,
        Grid(shape, affine),
        classes,
    )
    assert doubt_of(found) == pytest.approx(expected, abs=1e-3)
