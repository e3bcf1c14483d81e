from __future__ import annotations

import csv
import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from scanlearn.anatomy.lungs import LungMask
from scanlearn.config.palette import class_colour
from scanlearn.config.segmentation import ClassConfig
from scanlearn.errors import BadScan
from scanlearn.prediction.summary import read_prediction
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Acquisition, Scan, ScanEntry
from scanlearn.tasks.segmentation.segmentation_files import Saving, save_segmentation
from scanlearn.tasks.segmentation.segmenter import SegmentedScan

CLASSES = (ClassConfig(value=1, name="lung, right"), ClassConfig(value=9, name="müde"))


@pytest.fixture
def result():
    rng = np.random.default_rng(0)
    shape = (6, 7, 8)
    shares = rng.integers(0, 256, (3, *shape)).astype(np.uint8)
    labels = np.array([0, 1, 9], np.uint8)[shares.argmax(axis=0)]
    turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    affine = np.eye(4)
    affine[:3, :3] = turn * (2.5, 0.8, 0.7)
    affine[:3, 3] = (-120.5, 33.25, 871.0)
    return SegmentedScan(labels, shares, Grid(shape, affine), CLASSES)


@pytest.fixture
def scan(result):
    voxels = np.random.default_rng(1).normal(size=result.grid.shape)
    return Scan(voxels, result.grid, Acquisition(modality="MR"))


@pytest.fixture
def entry(scan, tmp_path):
    path = tmp_path / "scan-1.nii.gz"
    return ScanEntry(
        path=path,
        kind="nifti",
        files=(path,),
        acquisition=scan.acquisition,
        shape=scan.grid.shape,
        spacing_mm=scan.grid.spacing_mm,
        orientation=scan.grid.orientation,
    )


@pytest.fixture
def saved(result, scan, entry, tmp_path):
    to = Saving(tmp_path / "new" / "out", "scan-1", "lungs")
    return save_segmentation(result, scan, entry, to)


def test_label_maps_are_read_back_by_another_library(result, saved):
    image = nib.load(saved.parent / "scan-1_labels.nii.gz")
    assert image.get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(image.dataobj), result.labels)
    expected = np.diag([-1.0, -1, 1, 1]) @ result.grid.affine
    assert np.allclose(image.affine, expected, atol=1e-4)
    assert np.allclose(image.get_qform(), expected, atol=1e-3)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_probabilities_lie_along_the_fourth_axis(result, saved):
    image = nib.load(saved.parent / "scan-1_probabilities.nii.gz")
    values = np.asarray(image.dataobj)
    assert image.get_data_dtype() == np.uint8  # scaled when it is read
    assert values.shape == (6, 7, 8, 3)
    for channel in range(3):
        expected = result.probabilities[channel] / 255
        assert np.allclose(values[..., channel], expected, atol=1e-6)


def test_volumes_and_summary_agree(result, saved):
    with (saved.parent / "scan-1_volumes.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["class"], row["value"]) for row in rows] == [
        ("lung, right", "1"),
        ("müde", "9"),
    ]
    for row in rows:
        count = int((result.labels == int(row["value"])).sum())
        expected = count * 2.5 * 0.8 * 0.7 / 1000
        assert float(row["volume_ml"]) == pytest.approx(expected, abs=1e-3)
    document = json.loads(saved.read_text())
    grid = document.pop("grid")
    assert grid["shape"] == list(result.grid.shape)
    assert np.array_equal(grid["affine"], result.grid.affine)
    assert document == {
        "run": "lungs",
        "task": "segmentation",
        "scan": "scan-1",
        "source": "nifti",
        "labels": "scan-1_labels.nii.gz",
        "probabilities": "scan-1_probabilities.nii.gz",
        "uncertainty": "scan-1_uncertainty.nii.gz",
        "tables": ["scan-1_volumes.csv"],
        "classes": [
            {
                "value": one.value,
                "name": one.name,
                "colour": class_colour(one.value),
                "ml": float(row["volume_ml"]),
                "sd_ml": None,
            }
            for one, row in zip(CLASSES, rows, strict=True)
        ],
        "lungs": {},
        "cautions": [],
        "asked": "",
        "disclaimer": "Not for clinical use",
    }


def test_the_summary_is_read_back(result, saved):
    found = read_prediction(saved)
    assert (found.run, found.scan, found.source) == ("lungs", "scan-1", "nifti")
    assert all(file.exists() for file in (*found.niftis, *found.tables))
    assert [one.name for one in found.classes] == ["lung, right", "müde"]
    assert found.classes[0].volume_text.endswith(" ml")


def test_every_table_says_what_it_is_not_for(saved):
    for table in saved.parent.glob("*.csv"):
        with table.open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert {row["not_for_clinical_use"] for row in rows} == {"yes"}


def test_a_chest_gets_its_densities(result, entry, tmp_path):
    hu = np.random.default_rng(1).integers(-1000, -800, result.grid.shape)
    thick = Acquisition(modality="CT", units="HU", kernel="B70f", slice_thickness_mm=5)
    scan = Scan(hu.astype(np.int16), result.grid, thick)
    mask = np.ones(result.grid.shape, np.uint8)
    mask[:, :, 4:] = 2
    lungs = LungMask(mask, result.grid, 1.0, 1.0)
    to = Saving(tmp_path, "chest", "lungs")
    saved = save_segmentation(replace(result, lungs=lungs), scan, entry, to)
    with (tmp_path / "chest_densitometry.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["lung"], row["part"]) for row in rows[:5]] == [
        ("both", "whole"),
        ("both", "upper third"),
        ("both", "middle third"),
        ("both", "lower third"),
        ("right", "whole"),
    ]
    assert len(rows) == 12
    assert float(rows[0]["mean_hu"]) == pytest.approx(hu.mean(), abs=1e-3)
    share = 100 * (hu < -950).mean()
    assert float(rows[0]["laa950_percent"]) == pytest.approx(share, abs=1e-3)
    found = read_prediction(saved)
    assert found.tables[1].name == "chest_densitometry.csv"
    assert found.lungs["laa950_percent"] == float(rows[0]["laa950_percent"])
    assert len(found.cautions) == 2
    assert all(text in rows[0]["caution"] for text in found.cautions)


def test_figures_on_request(result, scan, entry, tmp_path):
    to = Saving(tmp_path, "a", "lungs", extras=["figures"])
    saved = save_segmentation(result, scan, entry, to)
    figures = json.loads(saved.read_text())["figures"]
    assert figures == ["a_axial.png", "a_coronal.png", "a_sagittal.png"]
    assert all((tmp_path / name).exists() for name in figures)


def test_a_scan_that_is_no_dicom_has_no_dicom_seg(result, scan, entry, tmp_path):
    to = Saving(tmp_path / "out", "a", "lungs", extras=["dicom-seg"])
    with pytest.raises(BadScan, match="not DICOM"):
        save_segmentation(result, scan, entry, to)
    assert not (tmp_path / "out").exists()


def test_saving_twice_replaces(result, scan, entry, saved):
    to = Saving(saved.parent, "scan-1", "other")
    again = save_segmentation(result, scan, entry, to)
    assert again == saved
    assert json.loads(saved.read_text())["run"] == "other"
    assert len(list(saved.parent.iterdir())) == 5


def test_a_full_disk_leaves_no_summary(result, scan, entry, tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(
        "scanlearn.tasks.segmentation.segmentation_files.write_nifti_channels", full
    )
    with pytest.raises(OSError, match="No space"):
        save_segmentation(result, scan, entry, Saving(tmp_path / "out", "scan-1", "a"))
    names = [path.name for path in (tmp_path / "out").iterdir()]
    assert names == ["scan-1_labels.nii.gz"]
