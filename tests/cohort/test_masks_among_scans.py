"""Label maps among scans are told from images, whatever they hold."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from scanlearn.cohort.labels.masks_among_scans import (
    beside_scans,
    is_told_label_map,
    label_maps_told,
    owner_of,
)
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.cohort.quality.checks import check
from scanlearn.config.prepare import PrepareConfig
from scanlearn.scans.find import find_scans
from scanlearn.scans.labels.label_arrays import looks_like_labels

SHAPE = (16, 18, 14)


@settings(max_examples=60, deadline=None)
@given(
    classes=st.integers(1, 120),
    outside=st.sampled_from([None, -1, -1024]),
    seed=st.integers(0, 99),
    kind=st.sampled_from([np.int16, np.float32, np.int32]),
)
def test_classes_in_pieces_are_labels(classes, outside, seed, kind):
    rng = np.random.default_rng(seed)
    places = rng.random((classes, 3)) * SHAPE
    nearest = np.stack(np.indices(SHAPE), -1)[..., None, :] - places
    labels = (nearest**2).sum(-1).argmin(-1) + 1
    labels[0] = 0
    if outside is not None and classes <= 24:
        labels[0] = outside
    # Many classes in so few voxels are crumbs: doubled, they are pieces again.
    labels = np.repeat(np.repeat(np.repeat(labels, 3, 0), 3, 1), 3, 2).astype(kind)
    assert looks_like_labels(labels, beside_scan=True)


@settings(max_examples=60, deadline=None)
@given(smooth=st.floats(0, 1.5), levels=st.integers(40, 250), seed=st.integers(0, 99))
def test_images_of_few_bits_are_not(smooth, levels, seed):
    noise = np.random.default_rng(seed).normal(0, 1, (20, 24, 22))
    image = ndimage.gaussian_filter(noise, smooth)
    image = (image - image.min()) / np.ptp(image) * levels
    image[:4] = 0
    assert not looks_like_labels(image.astype(np.uint8), beside_scan=True)


def write(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.diag([2.0, 2.0, 3.0, 1.0])), path)


def test_they_are_listed_with_their_scan_and_not_prepared(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = tmp_path / "in"
    for n in range(2):
        write(folder / f"p{n}" / "t1.nii.gz", rng.normal(90, 9, SHAPE).astype(np.int16))
    mask = np.full(SHAPE, -1, np.int16)
    mask[2:9, 3:9, 3:9], mask[9:12] = 1, 0
    write(folder / "p0" / "liver.nii.gz", mask)
    entries = find_scans(folder)
    assert beside_scans(entries) == [True, True, True]
    report = prepare(folder, tmp_path / "cohort", PrepareConfig(workers=0))
    liver = folder / "p0" / "liver.nii.gz"
    assert len(report.prepared) == 2
    assert report.label_maps == {liver: "t1.nii.gz"}
    told = label_maps_told(report.label_maps)
    assert "liver.nii.gz (of t1.nii.gz)" in told
    assert "finetune --labels" in told
    rows = {row.source: row for row in check(folder, workers=0)}
    (problem,) = rows[liver].problems
    assert "label map of t1.nii.gz" in problem.text


def test_a_mask_beside_its_picture_is_told_by_its_name(tmp_path: Path) -> None:
    for name in ("a.png", "a_mask.png", "b_mask.png"):
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / name)
    told = {entry.path.name: is_told_label_map(entry) for entry in find_scans(tmp_path)}
    assert told == {"a.png": False, "a_mask.png": True, "b_mask.png": False}
    entries = {entry.path.name: entry for entry in find_scans(tmp_path)}
    assert owner_of(entries["a_mask.png"], list(entries.values())) == "a.png"
