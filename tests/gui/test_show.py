from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageColor

from scanlearn.config.palette import class_colour
from scanlearn.gui.show import PICTURE_SIZE, show_prediction
from scanlearn.gui.viewer.layers import CLASSES, grid_of
from scanlearn.scans.files.write_nifti import write_nifti, write_nifti_channels
from scanlearn.scans.labels.read_labels import read_label_map

pytestmark = pytest.mark.viewer

NAMES = {1: "right lung", 2: "left lung"}


@pytest.fixture(scope="module")
def scan(scans_folder: Path) -> Path:
    return next(scans_folder.rglob("*.nii.gz"))


@pytest.fixture(scope="module")
def truth(scan: Path) -> Path:
    folder = scan.parents[2] / "labels" / "lungs"
    return folder / f"{scan.name.removesuffix('.nii.gz')}_labels.nii.gz"


@pytest.fixture(scope="module")
def prediction(truth: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the summary of a prediction that is the truth itself."""
    folder = tmp_path_factory.mktemp("predicted")
    labels, grid = read_label_map(truth)
    write_nifti(folder / "scan_labels.nii.gz", labels, grid)
    channels = np.stack([labels == value for value in range(3)]).astype(np.float32)
    write_nifti_channels(folder / "scan_probabilities.nii.gz", channels, grid)
    classes = [{"value": v, "name": n, "ml": 2000.0} for v, n in NAMES.items()]
    about = {
        "run": "2026-11-21_lungs",
        "task": "segmentation",
        "grid": {"shape": grid.shape, "affine": grid.affine.tolist()},
        "scan": "scan",
        "source": "nifti",
        "labels": "scan_labels.nii.gz",
        "probabilities": "scan_probabilities.nii.gz",
        "tables": [],
        "classes": classes,
        "lungs": {},
        "cautions": [],
    }
    summary = folder / "scan_prediction.json"
    summary.write_text(json.dumps(about))
    return summary


def test_prediction_and_truth_lie_over_the_scan(
    make_napari_viewer: Any, scan: Path, prediction: Path, truth: Path
) -> None:
    viewer = make_napari_viewer()
    show_prediction(viewer, scan, prediction=prediction, truth=truth)
    image, probability, predicted, true = viewer.layers
    assert [layer.name.split(" · ")[1] for layer in viewer.layers] == [
        "CT",
        "probability: right lung",
        "lungs (labels)",
        "ground truth (labels)",
    ]
    assert not probability.visible
    assert (predicted.contour, true.contour) == (0, 2)
    assert np.array_equal(predicted.data, true.data)
    for layer in (probability, predicted, true):
        assert grid_of(layer).matches(grid_of(image))
    assert predicted.metadata[CLASSES] == true.metadata[CLASSES] == NAMES
    lung_area = (predicted.data > 0).sum(axis=(1, 2))
    assert lung_area[viewer.dims.current_step[0]] == lung_area.max()
    assert viewer.canvas.overlays["scale_bar"].visible


def test_a_picture_is_saved_by_a_process_of_its_own(
    scan: Path, prediction: Path, truth: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "new" / "overview.png"
    words = ["--prediction", prediction, "--truth", truth, "--picture", picture]
    ended = run_show(scan, *words)
    assert ended.returncode == 0, ended.stderr
    assert list(picture.parent.iterdir()) == [picture]
    with Image.open(picture) as image:
        assert image.size == PICTURE_SIZE
        pixels = np.asarray(image.convert("RGB"))
    for value in NAMES:
        colour = ImageColor.getrgb(class_colour(value))
        near = np.abs(pixels.astype(int) - colour).max(axis=-1) < 6
        assert near.sum() > 500  # contours and the legend


def test_a_wrong_file_is_told_in_words(scan: Path, tmp_path: Path) -> None:
    broken = tmp_path / "scan_prediction.json"
    broken.write_text("{}")
    ended = run_show(scan, "--prediction", broken, "--picture", tmp_path / "a.png")
    assert ended.returncode == 1
    assert "is no prediction" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "a.png").exists()


def run_show(*words: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scanlearn.gui.show", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)
