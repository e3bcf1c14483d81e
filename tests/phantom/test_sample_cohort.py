"""The sample cohort on disk: all there, readable, or not there at all."""

from __future__ import annotations

import csv

import nibabel as nib
import numpy as np
import pytest

from scanlearn.errors import BadConfig
from scanlearn.phantom import sample
from scanlearn.phantom.chest import make_chest
from scanlearn.phantom.sample import write_sample
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan

SPACING = (5.0, 4.0, 4.0)


def table(path):
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    seen = []
    folder = write_sample(
        tmp_path_factory.mktemp("new") / "sample",
        scans=4,
        spacing_mm=SPACING,
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    return folder


def test_both_formats_read_back_as_the_phantom(cohort):
    entries = {entry.path.name: entry for entry in find_scans(cohort / "scans")}
    assert len(entries) == 4
    for number, path in (
        (1, cohort / "scans/dicom/PHANTOM-0001"),
        (2, cohort / "scans/nifti/PHANTOM-0002.nii.gz"),
    ):
        phantom = make_chest(0, number, spacing_mm=SPACING)
        scan = read_scan(path).canonical()
        assert scan.grid.matches(phantom.scan.grid)
        assert np.array_equal(scan.voxels, phantom.scan.voxels)


def test_labels_lie_on_their_scan_and_are_named_like_it(cohort):
    for kind in ("lungs", "lobes", "nodules", "emphysema"):
        names = sorted(path.name for path in (cohort / "labels" / kind).iterdir())
        assert names == [f"PHANTOM-{n:04d}_labels.nii.gz" for n in range(1, 5)]
    scan = nib.load(cohort / "scans/nifti/PHANTOM-0004.nii.gz")
    label = nib.load(cohort / "labels/nodules/PHANTOM-0004_labels.nii.gz")
    assert np.allclose(scan.affine, label.affine)
    assert label.get_data_dtype() == np.uint8


def test_tables_name_scans_that_exist_and_places_that_fit(cohort):
    for name in ("nodules", "emphysema_points", "outcomes", "classes"):
        for row in table(cohort / f"{name}.csv"):
            assert (cohort / row["path"]).exists()
            assert row["patient"] in row["path"]
    rows = [row for row in table(cohort / "nodules.csv") if row["x"]]
    assert rows
    phantom = make_chest(0, 4, spacing_mm=SPACING)
    mine = [row for row in rows if row["patient"] == phantom.name]
    for row, nodule in zip(mine, phantom.nodules, strict=True):
        point = [float(row[axis]) for axis in "xyz"]
        assert point == pytest.approx(nodule.centre_mm, abs=0.01)
        assert float(row["diameter"]) == pytest.approx(nodule.diameter_mm, abs=0.01)
    labels = {row["label"] for row in table(cohort / "emphysema_points.csv")}
    assert labels == {"normal", "centrilobular", "paraseptal", "panlobular"}


def test_radiographs_come_with_boxes_and_classes(tmp_path):
    folder = write_sample(tmp_path / "dx", scans=2, seed=1, kind="radiograph")
    assert (folder / "scans/dicom/PHANTOM-0001.dcm").is_file()
    assert (folder / "scans/png/PHANTOM-0002.png").is_file()
    assert [row["label"] for row in table(folder / "classes.csv")][1] == "abnormal"
    boxed = {row["path"] for row in table(folder / "boxes.csv") if row["x"]}
    for row, found in zip(
        table(folder / "classes.csv"), table(folder / "findings.csv"), strict=True
    ):
        assert (row["label"] == "normal") == (found["label"] == "normal")
        assert (row["path"] in boxed) == ("nodule" in found["label"].split(";"))
    assert boxed
    assert set(table(folder / "boxes.csv")[0]) == {
        *("path", "patient", "x", "y", "width", "height")
    }
    for entry in find_scans(folder / "scans"):
        assert not entry.error
        assert read_scan(entry).is_radiograph


def test_a_full_folder_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(BadConfig, match="not empty"):
        write_sample(tmp_path, scans=1)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_no_scans_are_refused(tmp_path):
    with pytest.raises(BadConfig, match="at least one"):
        write_sample(tmp_path / "none", scans=0)


def test_nothing_is_left_of_a_sample_that_failed(tmp_path, monkeypatch):
    def broken(*args, **kwargs):
        raise OSError("the disk is full")

    monkeypatch.setattr(sample, "write_nifti", broken)
    with pytest.raises(OSError, match="disk"):
        write_sample(tmp_path / "sample", scans=1, spacing_mm=(8, 6, 6))
    assert not list(tmp_path.iterdir())
