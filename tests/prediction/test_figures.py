"""Figures: which slices, which colours, which side, and that files hold them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageColor

from scanlearn.config.palette import class_colour
from scanlearn.prediction.figures import chosen_slices, write_figures
from scanlearn.prediction.summary import FoundClass
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Acquisition, Scan

CLASSES = [FoundClass(1, "_lung $x$", 812.0), FoundClass(4, "nodule", 0.4)]


def canonical(shape, spacing):
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing
    affine[3, 3] = 1
    return Grid(shape, affine)


@pytest.fixture
def case():
    """Return a scan with class 1 at the patient's left, in front, near the head."""
    grid = canonical((40, 50, 60), (3.0, 2.0, 2.0))
    scan = Scan(np.zeros(grid.shape, np.int16), grid, Acquisition("CT", "HU"))
    labels = np.zeros(grid.shape, np.uint8)
    labels[25:38, 5:20, 35:55] = 1
    return scan, labels


def written(case, folder, **changes):
    scan, labels = case
    files = write_figures(folder, "a", scan, labels, CLASSES, title="lungs")
    return {file.stem[2:]: np.asarray(Image.open(file)).astype(int) for file in files}


def middle_of(picture, value):
    """Return the mean (row, column) share of the saturated pixels of a class."""
    colour = np.array(ImageColor.getrgb(class_colour(value)))
    height, width, _ = picture.shape
    first = picture[: int(height * 0.85), : width // 4]
    near = np.abs(first - colour).sum(axis=-1) < 40
    assert near.sum() > 20
    rows, columns = np.nonzero(near)
    return rows.mean() / height, columns.mean() / (width / 4)


def test_left_is_right_and_the_head_is_up(case, tmp_path):
    pictures = written(case, tmp_path)
    row, column = middle_of(pictures["axial"], 1)
    assert column > 0.55  # the patient's left
    assert row < 0.45  # in front
    row, column = middle_of(pictures["coronal"], 1)
    assert column > 0.55
    assert row < 0.45  # the head
    row, column = middle_of(pictures["sagittal"], 1)
    assert column < 0.45  # in front
    assert row < 0.45


def test_the_source_grid_does_not_change_the_picture(case, tmp_path):
    axes = (2, 0, 1)
    scan, labels = case
    rng = np.random.default_rng(0)
    voxels = rng.integers(-1000, 300, labels.shape).astype(np.int16)
    scan = Scan(voxels, scan.grid, scan.acquisition)
    affine = scan.grid.affine.copy()
    affine[:, :3] = affine[:, list(axes)]
    grid = Grid(tuple(np.array(labels.shape)[list(axes)]), affine)
    turned = Scan(voxels.transpose(axes), grid, scan.acquisition)
    mine = written((scan, labels), tmp_path / "a")
    theirs = written((turned, labels.transpose(axes)), tmp_path / "b")
    assert all(np.array_equal(mine[name], theirs[name]) for name in mine)


def test_an_oblique_scan_and_an_empty_result_are_drawn(case, tmp_path):
    scan, labels = case
    affine = scan.grid.affine.copy()
    affine[:3, 0] += 0.3 * affine[:3, 1]
    tilted = Scan(scan.voxels, Grid(labels.shape, affine), scan.acquisition)
    assert len(written((tilted, labels), tmp_path)) == 3
    assert len(written((tilted, labels * 0), tmp_path)) == 3


def test_every_file_says_what_it_is_not_for(case, tmp_path):
    written(case, tmp_path)
    for file in tmp_path.iterdir():
        with Image.open(file) as image:
            assert image.text["Disclaimer"] == "Not for clinical use"


def test_the_fullest_slice_of_each_class_is_chosen():
    labels = np.zeros((100, 10, 10), np.uint8)
    labels[20:81, 2:6, 2:6] = 1
    labels[50, 1:7, 1:7] = 1
    labels[33, 8, 8] = 2
    labels[71, 8, 6:9] = 5
    slices = chosen_slices(labels, 0, 4)
    assert {33, 50, 71} <= set(slices)
    assert len(set(slices)) == 4
    assert all(20 <= number <= 80 for number in slices)
    assert chosen_slices(labels, 1, 2) == sorted(chosen_slices(labels, 1, 2))


def test_a_thin_result_has_as_many_slices_as_there_are():
    labels = np.zeros((9, 9, 9), np.uint8)
    assert len(chosen_slices(labels, 0, 4)) == 4
    labels[3] = 1
    assert chosen_slices(labels, 0, 4) == [3]


def test_a_disk_that_changes_a_picture_is_noticed(case, tmp_path, monkeypatch):
    save = Image.Image.save

    def darker(self, *args, **settings):
        save(self.point(lambda value: value // 2), *args, **settings)

    monkeypatch.setattr(Image.Image, "save", darker)
    with pytest.raises(OSError, match="differs when it is read again"):
        written(case, tmp_path)
    assert list(tmp_path.iterdir()) == []
