"""Masks named and laid out as other programs do find their scan and their classes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.labels.names import stem_of
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadLabels
from scanlearn.tasks.shared.label_maps import collect_labels


@pytest.fixture
def masks(sample: Path) -> dict[str, Path]:
    """Return the lung masks of the sample by the stems of their scans."""
    folder = sample / "labels" / "lungs"
    return {path.name.split("_labels")[0]: path for path in folder.iterdir()}


def write_like(path: Path, source: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, nib.load(source).affine), path)


def voxels_of(path: Path) -> np.ndarray:
    return np.asanyarray(nib.load(path).dataobj)


def test_a_file_an_organ_in_a_folder_of_the_scans_name(
    cohort: Cohort, masks: dict[str, Path], tmp_path: Path
) -> None:
    expected = {}
    for stem, mask in masks.items():
        values = voxels_of(mask)
        for value, organ in ((1, "lung_right"), (2, "lung_left")):
            binary = (values == value).astype(np.uint8) * 255
            write_like(tmp_path / "l" / stem / f"{organ}.nii.gz", mask, binary)
        write_like(tmp_path / "l" / stem / "heart.nii.gz", mask, np.zeros_like(values))
        expected[stem] = {n: int(np.count_nonzero(values == n)) for n in (1, 2)}
    found = collect_labels(tmp_path / "l", cohort)
    names = {name: value for value, name in found.names.items()}
    assert sorted(names) == ["lung_left", "lung_right"]
    sources = cohort.sources()
    for item in found.items:
        there = expected[stem_of(Path(sources[item.scan].path))]
        assert item.voxels[names["lung_right"]] == there[1]
        assert item.voxels[names["lung_left"]] == there[2]
    assert any("heart is empty" in remark for remark in found.remarks)
    stem, mask = next(iter(masks.items()))
    write_like(tmp_path / "l" / stem / "heart.nii.gz", mask, voxels_of(mask))
    with pytest.raises(BadLabels, match="one of several masks"):
        collect_labels(tmp_path / "l", cohort)


@pytest.mark.parametrize("name", ["mask", "Segmentation_label", "labels"])
def test_a_plainly_named_mask_in_a_folder_of_the_scans_name(
    cohort: Cohort, masks: dict[str, Path], tmp_path: Path, name: str
) -> None:
    for stem, mask in masks.items():
        place = tmp_path / stem / "results" / f"{name}.nii.gz"
        place.parent.mkdir(parents=True)
        shutil.copy(mask, place)
    found = collect_labels(tmp_path, cohort)
    assert len(found.items) == 4
    assert found.names == {1: "class 1", 2: "class 2"}


def test_names_of_numbers_are_those_listed_beside_the_labels(
    cohort: Cohort, masks: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "labelsTr"
    folder.mkdir()
    for mask in masks.values():
        shutil.copy(mask, folder)
    listed = {"background": 0, "right": 1, "left": 2}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": listed}))
    assert collect_labels(folder, cohort).names == {1: "right", 2: "left"}
    older = {"labels": {"0": "background", "1": "R", "2": "L"}}
    (tmp_path / "dataset.json").write_text(json.dumps(older))
    assert collect_labels(folder, cohort).names == {1: "R", 2: "L"}
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": {"whole": [1, 2]}}))
    assert collect_labels(folder, cohort).names == {1: "class 1", 2: "class 2"}


def test_saved_labels_take_the_values_of_a_run_by_name(
    cohort: Cohort, masks: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    for mask in masks.values():
        shutil.copy(mask, folder)
    (folder / "classes.json").write_text(json.dumps({"1": "right", "2": "left"}))
    own = collect_labels(folder, cohort)
    own.save(tmp_path / "run" / "inputs")
    other = collect_labels(tmp_path / "run", cohort, known={1: "left", 2: "Right"})
    assert other.names == {1: "left", 2: "Right"}
    for mine, theirs in zip(own.items, other.items, strict=True):
        assert theirs.voxels == {1: mine.voxels[2], 2: mine.voxels[1]}
        np.testing.assert_array_equal(theirs.read() == 1, mine.read() == 2)


def test_a_name_that_nearly_matches_is_told(
    cohort: Cohort, masks: dict[str, Path], tmp_path: Path
) -> None:
    stem, mask = next(iter(masks.items()))
    near = stem.replace("-", "_")
    shutil.copy(mask, tmp_path / f"{near}_labels.nii.gz")
    with pytest.raises(BadLabels, match=f"is {near}_labels.nii.gz meant for {stem}"):
        collect_labels(tmp_path, cohort)
    other = list(masks.values())[1]
    shutil.copy(other, tmp_path)
    remarks = collect_labels(tmp_path, cohort).remarks
    assert any(near in r and f"is it meant for {stem}" in r for r in remarks)


@pytest.mark.parametrize(
    ("scan", "label"),
    [
        ("images/{n}_0000.nii.gz", "labels/{n}.nii.gz"),
        ("{n}/ct.nii.gz", "masks/{n}.nii.gz"),
        ("{n}/ct.nii.gz", "masks/{n}/ct_seg.nii.gz"),
        ("{n}/ct.nii.gz", "{n}/mask.nii.gz"),
        ("{n}/ct.nii.gz", "{n}/drawn by me.nii.gz"),
    ],
)
def test_layouts_of_other_programs(tmp_path: Path, scan: str, label: str) -> None:
    """Each mask's volume tells which scan it was written for."""
    rng = np.random.default_rng(0)
    affine = np.diag([2.0, 2.0, 3.0, 1.0])
    root = tmp_path / "d"
    for n in range(3):
        image = rng.normal(100, 20, (12, 10, 8)).astype(np.int16)
        affine[0, 3] = 5.0 * n
        path = root / scan.format(n=f"case{n}")
        path.parent.mkdir(parents=True, exist_ok=True)
        nib.save(nib.Nifti1Image(image, affine), path)
    prepare(root, tmp_path / "cohort", PrepareConfig(spacing_mm=2.0, workers=0))
    cohort = Cohort(tmp_path / "cohort")
    for n in range(3):
        path = root / label.format(n=f"case{n}")
        path.parent.mkdir(parents=True, exist_ok=True)
        mask = np.zeros((12, 10, 8), np.uint8)
        mask[2 : 6 + n, 2:8, 2:6] = 1
        affine[0, 3] = 5.0 * n
        nib.save(nib.Nifti1Image(mask, affine), path)
    found = collect_labels(root, cohort)
    assert len(found.items) == 3
    for item in found.items:
        n = int(cohort.sources()[item.scan].path.split("case")[1][0])
        assert sum(item.voxels.values()) == (4 + n) * 6 * 4


def test_classes_that_were_asked_for_are_compared(
    cohort: Cohort, masks: dict[str, Path], tmp_path: Path
) -> None:
    from scanlearn.config.segmentation import ClassConfig, SegmentationConfig
    from scanlearn.tasks.segmentation.labels import collect_training_maps

    for mask in masks.values():
        shutil.copy(mask, tmp_path)

    def asked(*values: int) -> SegmentationConfig:
        named = [ClassConfig(value=value, name=f"organ {value}") for value in values]
        return SegmentationConfig(classes=tuple(named))

    found = collect_training_maps(tmp_path, cohort, asked(1, 5))
    assert "organ 5 has no voxel in these labels" in found.remarks
    assert "class 2 is no class asked for: ignored" in found.remarks
    with pytest.raises(BadLabels, match="none of the classes asked for"):
        collect_training_maps(tmp_path, cohort, asked(7, 8))
