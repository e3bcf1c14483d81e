"""Labelled findings: tables, masks and what was saved."""

from __future__ import annotations

import csv

import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.errors import BadLabels
from scanlearn.scans.geometry import Grid
from scanlearn.tasks.detection.finding_set import FindingSet
from scanlearn.tasks.detection.labels import collect_findings
from scanlearn.tasks.detection.sphere_labels import components


@pytest.fixture(scope="module")
def cohort(tiny_cohort) -> Cohort:
    return Cohort(tiny_cohort)


@pytest.fixture
def rewritten(tiny_sample, tmp_path):
    """Return a function that writes the table anew with changed rows."""

    def write(change):
        with (tiny_sample / "nodules.csv").open() as file:
            rows = [change(dict(row)) for row in csv.DictReader(file)]
        path = tmp_path / "changed.csv"
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            for row in rows:
                writer.writerow(row | {"path": tiny_sample / row["path"]})
        return path

    return write


def test_a_table_of_spheres(tiny_sample, cohort, tmp_path):
    labels = collect_findings(tiny_sample / "nodules.csv", cohort)
    with (tiny_sample / "nodules.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["x"]]
    assert labels.count == len(rows)
    assert [item.scan for item in labels.items] == sorted(cohort.keys())
    mine = sorted(tuple(row) for item in labels.items for row in item.objects)
    theirs = sorted(
        tuple(float(row[name]) for name in ("x", "y", "z", "diameter")) for row in rows
    )
    assert mine == theirs
    labels.save(tmp_path / "inputs")
    for source in (tmp_path, tmp_path / "inputs"):
        again = collect_findings(source, cohort)
        for one, other in zip(labels.items, again.items, strict=True):
            assert (one.scan, one.patient) == (other.scan, other.patient)
            assert np.array_equal(one.objects, other.objects)
    assert "PHANTOM" not in (tmp_path / "inputs" / "spheres.json").read_text()


def test_masks_become_spheres_where_the_table_has_them(tiny_sample, cohort):
    table = collect_findings(tiny_sample / "nodules.csv", cohort)
    masks = collect_findings(tiny_sample / "labels" / "nodules", cohort)
    known = {item.scan: item.objects for item in table.items}
    seen = 0
    for item in masks.items:
        for x, y, z, diameter in item.objects:
            gaps = np.linalg.norm(known[item.scan][:, :3] - (x, y, z), axis=1)
            truth = known[item.scan][gaps.argmin()]
            assert gaps.min() < 4  # voxels of 6 x 4 x 4 mm
            assert diameter == pytest.approx(truth[3], abs=4)
            seen += 1
    assert seen >= 3
    assert any("components" in remark for remark in masks.remarks)


def test_components_have_the_volume_of_their_voxels():
    grid = Grid((40, 40, 40), np.diag([1.0, 1.0, 1.0, 1.0]))
    z, y, x = np.indices(grid.shape)
    ball = (x - 12) ** 2 + (y - 20) ** 2 + (z - 25) ** 2 < 36
    other = (x - 30) ** 2 + (y - 8) ** 2 + (z - 9) ** 2 < 9
    speck = (x == 38) & (y == 38) & (z == 38)
    found = components((ball | other | speck).astype(np.uint8), grid)
    found = found[found[:, 3].argsort()[::-1]]
    np.testing.assert_allclose(found[:, :3], [[25, 20, 12], [9, 8, 30]], atol=1e-9)
    np.testing.assert_allclose(found[:, 3], [12, 6], atol=0.5)


def test_splits_are_kept(rewritten, cohort):
    table = rewritten(
        lambda row: row | {"split": "val" if "2" in row["path"] else "train"}
    )
    splits = {item.split for item in collect_findings(table, cohort).items}
    assert splits == {"train", "val"}


def test_ras_instead_of_lps_is_noticed(rewritten, cohort):
    def ras(row):
        return row | ({"z": -float(row["z"])} if row["z"] else {})

    with pytest.raises(BadLabels, match="outside the scan"):
        collect_findings(rewritten(ras), cohort)


def test_no_finding_at_all(rewritten, cohort):
    def emptied(row):
        return row | dict.fromkeys(("x", "y", "z", "diameter"), "")

    with pytest.raises(BadLabels, match="no finding in any of its 4 scans"):
        collect_findings(rewritten(emptied), cohort)


def test_what_is_no_label(tiny_sample, cohort, tmp_path, rewritten):
    with pytest.raises(BadLabels, match="does not exist"):
        collect_findings(tmp_path / "none.csv", cohort)
    (tmp_path / "spheres.json").write_text("[]")
    with pytest.raises(BadLabels, match="cannot be read"):
        FindingSet.load(tmp_path)
    other = rewritten(lambda row: row | {"path": "nodules.csv"})
    with pytest.raises(BadLabels, match="names a scan"):
        collect_findings(other, cohort)
