"""Decisions about findings: kept beside the prediction, carried on, painted."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.anatomy.lung_places import LungPlace
from scanlearn.errors import BadLabels
from scanlearn.prediction.review import (
    Judged,
    Review,
    larger,
    middle_of,
    read_review,
    review_file,
    reviewed,
    slices_of,
    why_not,
)
from scanlearn.prediction.reviewed_labels import reviewed_labels
from scanlearn.prediction.summary import read_prediction
from scanlearn.scans.geometry import Grid
from scanlearn.scans.tables.finding_table import BoxFinding, Finding, write_findings

#: Slices run from the head down; columns to the right.
GRID = Grid(
    (20, 30, 40),
    np.array([[0, 0, -2, 50], [0, 2, 0, -30], [-3, 0, 0, 0], [0, 0, 0, 1.0]]),
)
FLAT = Grid((1, 60, 80), np.diag([1.0, 0.5, 0.5, 1])[[2, 1, 0, 3]])


def sphere(score, x, y, z, diameter=10.0):
    return Finding(score, (x, y, z), diameter, "nodule")


FOUND = [sphere(0.9, 0, 0, -20), sphere(0.5, 20, 5, -40, 6), sphere(0.1, -10, 9, -9)]
BOXES = [
    BoxFinding(0.8, (10, 20, 16, 10), "mass"),
    BoxFinding(0.4, (50, 5, 8, 8), "mass"),
]


def predicted(folder, findings=FOUND, *, shape="sphere", grid=GRID, source="dicom"):
    kind = Finding if shape == "sphere" else BoxFinding
    write_findings(folder / "scan_findings.csv", findings, kind)
    about = {
        "run": "nodules",
        "task": "detection",
        "scan": "scan",
        "source": source,
        "grid": {"shape": grid.shape, "affine": grid.affine.tolist()},
        "tables": ["scan_findings.csv"],
        "shape": shape,
    }
    (folder / "scan_prediction.json").write_text(json.dumps(about))
    return read_prediction(folder / "scan_prediction.json")


def test_a_decision_again_takes_it_back():
    review = Review(tuple(map(Judged, FOUND)))
    accepted = review.judged(1, "accepted")
    assert [one.verdict for one in accepted.items] == ["", "accepted", ""]
    assert accepted.kept == (FOUND[1],)
    assert accepted.judged(1, "accepted") == review
    assert accepted.judged(1, "rejected").kept == ()
    more = review.added(Judged(sphere(1, 3, 3, -30)))
    assert more.items[-1].verdict == "added"
    assert more.judged(3, "accepted") == more


@pytest.mark.parametrize("shape", ["sphere", "box"])
def test_what_was_decided_is_there_again(tmp_path, shape):
    found, grid, kind = FOUND, GRID, Finding
    if shape == "box":
        found, grid, kind = BOXES, FLAT, BoxFinding
    prediction = predicted(tmp_path, found, shape=shape, grid=grid)
    review = read_review(prediction)
    assert [one.finding for one in review.items] == found
    assert not reviewed(prediction)
    review = review.judged(0, "accepted").resized(0, 3).judged(1, "rejected")
    review.save(review_file(prediction), kind)
    assert read_review(prediction) == review
    assert reviewed(prediction)
    assert read_review(prediction).kept == (larger(found[0], 3),)


def test_decisions_stay_with_what_they_were_made_about(tmp_path):
    prediction = predicted(tmp_path)
    review = read_review(prediction).judged(0, "accepted").resized(0, 4)
    review = review.judged(1, "rejected").judged(2, "accepted")
    review = review.added(
        Judged(sphere(1, 40, 5, -50), "", 3, LungPlace("left", "lower"))
    )
    review.save(review_file(prediction), Finding)
    # Another model finds one a little aside, one where another lay, and not the third.
    again = [sphere(0.7, 100, 0, -20), sphere(0.6, 1, 0, -20), sphere(0.4, 40, 6, -50)]
    now = read_review(predicted(tmp_path, again))
    assert [(one.verdict, one.finding.score) for one in now.items] == [
        ("", 0.7),
        ("accepted", 0.6),
        ("accepted", 0.4),
        ("added", 0.1),  # accepted before, not found again: not lost
    ]
    assert now.items[1].finding.diameter_mm == FOUND[0].diameter_mm + 2


def test_slices_are_counted_from_the_feet_up(tmp_path):
    # Voxel 19 of the source is the lowest slice.
    points = GRID.to_patient([[19, 4, 4], [2, 4, 4]])
    assert slices_of(points, GRID) == [0, 17]
    assert [one.slice for one in read_review(predicted(tmp_path)).items] == [12, 6, 16]


@given(st.floats(1, 60), st.integers(-40, 40))
@settings(deadline=None, max_examples=60)
def test_findings_grow_around_their_middle(size, steps):
    ball = larger(sphere(0.5, 1, 2, 3, size), steps)
    assert ball.diameter_mm == pytest.approx(max(1.0, size + 0.5 * steps))
    box = BoxFinding(0.5, (4, 5, size, 2 * size), "mass")
    grown = larger(box, steps)
    np.testing.assert_allclose(middle_of(grown, FLAT), middle_of(box, FLAT), atol=1e-9)
    assert min(grown.box[2:]) >= 2 - 1e-9


def test_a_table_that_is_no_review_is_named(tmp_path):
    prediction = predicted(tmp_path)
    read_review(prediction).judged(0, "accepted").save(review_file(prediction), Finding)
    text = review_file(prediction).read_text().replace("accepted", "perhaps")
    review_file(prediction).write_text(text)
    with pytest.raises(BadLabels, match="row 2: 'perhaps'"):
        read_review(prediction)


def test_accepted_spheres_are_painted_as_a_slow_loop_would(tmp_path):
    prediction = predicted(tmp_path)
    review = read_review(prediction).judged(0, "accepted").judged(2, "accepted")
    review.save(review_file(prediction), Finding)
    labels, classes = reviewed_labels(prediction, GRID)
    assert [one.name for one in classes] == ["nodule 1", "nodule 2"]
    expected = np.zeros(GRID.shape, int)
    for index in np.ndindex(GRID.shape):
        point = GRID.to_patient(index)
        for value, one in ((2, FOUND[2]), (1, FOUND[0])):
            if np.linalg.norm(point - one.centre) <= one.diameter_mm / 2:
                expected[index] = value
    np.testing.assert_array_equal(labels > 0, expected > 0)
    np.testing.assert_array_equal(labels, expected)
    assert classes[0].ml == pytest.approx((expected == 1).sum() * GRID.voxel_ml)


def test_accepted_boxes_are_painted_as_rectangles(tmp_path):
    prediction = predicted(tmp_path, BOXES, shape="box", grid=FLAT)
    read_review(prediction).judged(0, "accepted").save(
        review_file(prediction), BoxFinding
    )
    labels, _ = reviewed_labels(prediction, FLAT)
    expected = np.zeros(FLAT.shape, int)
    expected[0, 20:31, 10:27] = 1  # the pixels whose middles lie in it
    np.testing.assert_array_equal(labels, expected)


def test_only_a_review_can_be_outlined(tmp_path):
    prediction = predicted(tmp_path)
    assert not why_not(prediction, "tables")
    assert "Accept findings first" in why_not(prediction, "dicom-seg")
    assert "Accept findings first" in why_not(prediction, "nifti")
    assert "table" in why_not(prediction, "figures")
    read_review(prediction).judged(0, "rejected").save(review_file(prediction), Finding)
    assert "Accept findings first" in why_not(prediction, "nifti")
    read_review(prediction).judged(1, "accepted").save(review_file(prediction), Finding)
    assert not why_not(prediction, "dicom-seg")
    flat = predicted(tmp_path, source="nifti")
    assert "not DICOM" in why_not(flat, "dicom-seg")
