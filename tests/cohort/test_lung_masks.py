"""Lung masks of the user's own, and the pictures that show what was taken."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadLabels
from scanlearn.scans.find import find_scans
from scanlearn.scans.labels.write_dicom_seg import write_dicom_seg
from scanlearn.scans.read import read_scan

CONFIG = PrepareConfig(workers=0, spacing_mm=4.0)


@pytest.mark.parametrize("how", ["two", "swapped", "one", "lobes"])
def test_given_masks_are_taken_whatever_their_values(
    sample: Path, tmp_path: Path, how: str
) -> None:
    source = sorted((sample / "scans" / "nifti").iterdir())[0]
    stem = source.name.split(".")[0]
    truth = nib.load(next((sample / "labels" / "lungs").glob(f"{stem}*")))
    lungs = np.asarray(truth.dataobj)
    # A block cut out tells the given mask from a computed one.
    lungs[: lungs.shape[0] // 3] = 0
    values = {
        "two": lungs,
        "swapped": np.array([0, 2, 1])[lungs],
        "one": np.minimum(lungs, 1),
        "lobes": np.where(lungs > 0, lungs + 4 * (np.arange(lungs.shape[2]) % 2), 0),
    }[how].astype(np.uint8)
    (tmp_path / "masks").mkdir()
    mask_file = tmp_path / "masks" / f"{stem}_lungs.nii.gz"
    nib.save(nib.Nifti1Image(values, truth.affine), mask_file)

    prepare(source, tmp_path / "cohort", CONFIG, lung_masks=tmp_path / "masks")
    (record,) = Cohort(tmp_path / "cohort").records()
    ml = abs(np.linalg.det(truth.affine[:3, :3])) / 1000
    for side, found in ((1, record.right_lung_ml), (2, record.left_lung_ml)):
        assert found == pytest.approx((lungs == side).sum() * ml, rel=0.08)
    mask, grid = Cohort(tmp_path / "cohort").lungs(record.key)
    points = grid.to_patient(np.argwhere(mask > 0)) * (-1, -1, 1)
    index = np.rint(nib.affines.apply_affine(np.linalg.inv(truth.affine), points))
    inside = np.clip(index.astype(int), 0, np.array(lungs.shape) - 1)
    assert (lungs[tuple(inside.T)] > 0).mean() > 0.95
    assert record.frame.kind == "lungs"


def test_a_new_mask_is_taken_and_then_kept(sample: Path, tmp_path: Path) -> None:
    source = sorted((sample / "scans" / "nifti").iterdir())[0]
    stem = source.name.split(".")[0]
    (key,) = prepare(source, tmp_path / "cohort", CONFIG).prepared
    computed = Cohort(tmp_path / "cohort").record(key)
    assert computed.lungs_hash == ""
    picture = tmp_path / "cohort" / "previews" / f"{key}.png"
    before = np.asarray(Image.open(picture))

    truth = nib.load(next((sample / "labels" / "lungs").glob(f"{stem}*")))
    half = np.asarray(truth.dataobj).copy()
    half[..., : half.shape[2] // 2] = 0
    (tmp_path / "masks").mkdir()
    nib.save(nib.Nifti1Image(half, truth.affine), tmp_path / "masks" / f"{stem}.nii.gz")
    masks = tmp_path / "masks"
    again = prepare(source, tmp_path / "cohort", CONFIG, lung_masks=masks)
    assert again.prepared == (key,)
    given = Cohort(tmp_path / "cohort").record(key)
    assert given.lungs_hash
    assert given.lung_volume_ml < 0.8 * computed.lung_volume_ml
    assert (np.asarray(Image.open(picture)) != before[: before.shape[0]]).any()
    # Neither the same mask again nor none at all makes it anew.
    assert prepare(source, tmp_path / "cohort", CONFIG, lung_masks=masks).kept
    assert prepare(source, tmp_path / "cohort", CONFIG).kept
    assert Cohort(tmp_path / "cohort").record(key) == given


def test_the_picture_colours_right_and_left(prepared: Path) -> None:
    cohort = Cohort(prepared)
    for key in cohort.keys():  # noqa: SIM118
        picture = np.asarray(Image.open(cohort.layout.preview(key))).astype(int)
        blue = picture[..., 2] - picture[..., 0] > 20
        orange = picture[..., 0] - picture[..., 2] > 20
        assert blue.sum() > 200
        assert orange.sum() > 200
        # The axial slice comes first; the patient's right is left in a picture.
        axial = slice(0, picture.shape[1] // 2)
        assert (
            np.nonzero(blue[:, axial])[1].mean()
            < np.nonzero(orange[:, axial])[1].mean()
        )


def test_masks_of_nobody_are_refused(sample: Path, tmp_path: Path) -> None:
    source = sorted((sample / "scans" / "nifti").iterdir())[0]
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "other.nii.gz").write_bytes(b"")
    with pytest.raises(BadLabels, match="name of a scan"):
        prepare(source, tmp_path / "cohort", CONFIG, lung_masks=tmp_path / "masks")
    assert not (tmp_path / "cohort").exists()
    stem = source.name.split(".")[0]
    wrong = nib.Nifti1Image(np.ones((4, 4, 4), np.uint8), np.eye(4))
    nib.save(wrong, tmp_path / "masks" / f"{stem}.nii.gz")
    with pytest.raises(Exception, match="another grid"):
        prepare(source, tmp_path / "cohort", CONFIG, lung_masks=tmp_path / "masks")


def test_dicom_segmentations_name_their_series(sample: Path, tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    shutil.copytree(sample / "scans" / "dicom", scans)
    first, second = find_scans(scans)
    grid = read_scan(first).grid
    z, _, x = np.indices(grid.shape)
    middle = grid.shape[2] // 2
    lungs = np.zeros(grid.shape, np.uint8)
    block = (z > 3) & (z < 12)
    lungs[block & (x > middle - 18) & (x < middle - 6)] = 1  # the patient's right
    lungs[block & (x > middle + 8) & (x < middle + 16)] = 2
    masks = tmp_path / "masks"
    masks.mkdir()
    # Its name says nothing; its references lead to the first series.
    names = {1: "right lung", 2: "left lung"}
    write_dicom_seg(
        masks / "export.dcm", lungs, grid, source_files=first.files, names=names
    )

    prepare(scans, tmp_path / "cohort", CONFIG, lung_masks=masks)
    cohort = Cohort(tmp_path / "cohort")
    by_series = {one.series: cohort.record(k) for k, one in cohort.sources().items()}
    given, computed = by_series[first.series_uid], by_series[second.series_uid]
    assert given.lungs_hash
    assert not computed.lungs_hash
    for side, found in ((1, given.right_lung_ml), (2, given.left_lung_ml)):
        expected = np.count_nonzero(lungs == side) * grid.voxel_ml
        assert found == pytest.approx(expected, rel=0.1)
    mask, on = cohort.lungs(given.key)
    for side in (1, 2):
        middles = [
            where.to_patient(np.argwhere(values == side)).mean(axis=0)
            for values, where in ((lungs, grid), (mask, on))
        ]
        np.testing.assert_allclose(*middles, atol=2.0)

    shutil.copy(masks / "export.dcm", masks / "again.dcm")
    with pytest.raises(BadLabels, match="both for the same scan"):
        prepare(scans, tmp_path / "cohort", CONFIG, lung_masks=masks)
