"""Labelled boxes of radiographs: tables, what was saved, what is refused."""

from __future__ import annotations

import csv
import shutil

import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.errors import BadCohort, BadLabels
from scanlearn.scans.boxes import to_pixels
from scanlearn.tasks.detection.finding_set import FindingSet
from scanlearn.tasks.detection.labels import collect_findings, finding_kind

HEADER = ["path", "x", "y", "width", "height", "split"]


@pytest.fixture
def table(films, tmp_path):
    """Return a function that writes a table of rows with paths of the films."""

    def write(*rows, header=HEADER):
        path = tmp_path / "boxes.csv"
        with path.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            writer.writerows([films / "scans" / row[0], *row[1:]] for row in rows)
        return path

    return write


@pytest.fixture
def cohort(films) -> Cohort:
    return Cohort(films / "cohort")


def test_a_table_of_boxes_keeps_the_source_pixels(films, cohort, tmp_path):
    labels = collect_findings(films / "boxes.csv", cohort)
    with (films / "boxes.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["x"]]
    theirs = sorted(tuple(float(row[n]) for n in HEADER[1:5]) for row in rows)
    mine = [
        to_pixels(item.objects, cohort.source_grid(item.scan)) for item in labels.items
    ]
    np.testing.assert_allclose(sorted(map(tuple, np.vstack(mine))), theirs, atol=1e-9)
    assert labels.kind == "boxes"
    assert any(not len(item.objects) for item in labels.items)
    labels.save(tmp_path / "inputs")
    again = collect_findings(tmp_path / "inputs", cohort)
    for one, other in zip(labels.items, again.items, strict=True):
        assert (one.scan, one.patient) == (other.scan, other.patient)
        assert np.array_equal(one.objects, other.objects)
    assert "film" not in (tmp_path / "inputs" / "boxes.json").read_text()
    few = labels.of(labels.patient_keys[:2])
    assert {item.patient for item in few.items} == set(labels.patient_keys[:2])


def test_splits_are_kept(cohort, table):
    path = table(
        ("film0.png", 10, 10, 20, 20, "train"), ("film1.png", "", "", "", "", "val")
    )
    parts = [item.split for item in collect_findings(path, cohort).items]
    assert sorted(parts) == ["train", "val"]


def test_a_box_of_another_size_of_image_is_noticed(cohort, table):
    path = table(("film0.png", 400, 30, 20, 20, ""))
    with pytest.raises(BadLabels, match="outside the image of 96 x 120 pixels"):
        collect_findings(path, cohort)


def test_spheres_do_not_fit_radiographs(films, cohort, table, tmp_path):
    path = table(("film0.png", 1, 2, 3, 4), header=["path", "x", "y", "z", "diameter"])
    with pytest.raises(BadLabels, match=r"has spheres .* holds radiographs"):
        collect_findings(path, cohort)
    FindingSet("spheres", ()).save(tmp_path / "inputs")
    with pytest.raises(BadLabels, match="has spheres"):
        collect_findings(tmp_path / "inputs", cohort)
    with pytest.raises(BadLabels, match="is no table"):
        collect_findings(films / "scans", cohort)


def test_boxes_do_not_fit_volumes(tiny_cohort, table):
    with pytest.raises(BadLabels, match=r"has boxes in pixels .* holds volumes"):
        collect_findings(table(("film0.png", 1, 2, 3, 4, "")), Cohort(tiny_cohort))


def test_volumes_and_radiographs_together_are_refused(films, tiny_cohort, tmp_path):
    mixed = tmp_path / "mixed"
    shutil.copytree(tiny_cohort, mixed)
    for file in (films / "cohort" / "scans").iterdir():
        shutil.copy(file, mixed / "scans")
    with pytest.raises(BadCohort, match="4 volumes and 8 radiographs"):
        finding_kind(Cohort(mixed))


def test_no_box_at_all(cohort, table):
    with pytest.raises(BadLabels, match=r"no finding .* 1 scans") as error:
        collect_findings(table(("film0.png", "", "", "", "", "")), cohort)
    assert "width" in str(error.value)
