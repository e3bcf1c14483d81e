from __future__ import annotations

import csv
import json

import nibabel as nib
import numpy as np
import pytest

from scanlearn.config.palette import class_colour
from scanlearn.config.segmentation import ClassConfig
from scanlearn.predict.saving import save_segmentation
from scanlearn.predict.segmenting import SegmentedScan
from scanlearn.scans.geometry import Grid

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
def saved(result, tmp_path):
    return save_segmentation(result, tmp_path / "new" / "out", "scan-1", run="lungs")


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
    assert values.dtype == np.float32
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
    assert document == {
        "run": "lungs",
        "scan": "scan-1",
        "labels": "scan-1_labels.nii.gz",
        "probabilities": "scan-1_probabilities.nii.gz",
        "classes": [
            {
                "value": one.value,
                "name": one.name,
                "colour": class_colour(one.value),
                "ml": float(row["volume_ml"]),
            }
            for one, row in zip(CLASSES, rows, strict=True)
        ],
        "disclaimer": "Not for clinical use",
    }


def test_saving_twice_replaces(result, saved):
    again = save_segmentation(result, saved.parent, "scan-1", run="other")
    assert again == saved
    assert json.loads(saved.read_text())["run"] == "other"
    assert len(list(saved.parent.iterdir())) == 4


def test_a_full_disk_leaves_no_summary(result, tmp_path, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scanlearn.predict.saving.write_nifti_channels", full)
    with pytest.raises(OSError, match="No space"):
        save_segmentation(result, tmp_path / "out", "scan-1", run="lungs")
    names = [path.name for path in (tmp_path / "out").iterdir()]
    assert names == ["scan-1_labels.nii.gz"]
