"""What the quality checks find, and what they do not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.quality.check_rules import ScanFacts, cross_problems, own_problems
from scanlearn.cohort.quality.checks import check, check_cohort, to_json
from scanlearn.errors import BadScan
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Acquisition, Scan

CT = Acquisition(modality="CT", units="HU", slice_thickness_mm=2.0)
FACTS = ScanFacts(
    "P-0", "CT", (100, 300, 300), (2.0, 1.0, 1.0), kernel="B", body_part="CHEST"
)


def ct(shape=(40, 64, 64), spacing=(2.0, 5.0, 5.0), **changes) -> Scan:
    rng = np.random.default_rng(0)
    voxels = rng.integers(-1000, 400, shape).astype(np.int16)
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing
    affine[3, 3] = 1
    return Scan(voxels, Grid(shape, affine), replace(CT, **changes))


def codes(scan: Scan) -> set[str]:
    return {problem.code for problem in own_problems(scan)}


def test_an_ordinary_scan_has_no_problem() -> None:
    assert codes(ct()) == set()


def test_each_rule_finds_its_own_kind_of_scan() -> None:
    scan = ct()
    assert codes(ct(shape=(6, 64, 64))) == {"few-slices"}
    assert codes(ct(spacing=(8.0, 5.0, 5.0), slice_thickness_mm=8.0)) == {
        "thick-slices"
    }
    assert codes(ct(slice_thickness_mm=1.0)) == {"slice-gaps"}
    assert codes(ct(spacing=(2.0, 1.0, 1.0))) == {"small-field"}
    assert codes(replace(scan, voxels=np.abs(scan.voxels))) == {"not-hu"}
    assert codes(ct(units="arbitrary")) == {"not-hu"}
    assert codes(replace(scan, voxels=np.zeros_like(scan.voxels))) == {"empty"}
    turn = np.deg2rad(10)
    tilted = scan.grid.affine.copy()
    tilted[:3, :3] = [
        [1, 0, 0],
        [0, np.cos(turn), -np.sin(turn)],
        [0, np.sin(turn), np.cos(turn)],
    ] @ tilted[:3, :3]
    assert codes(replace(scan, grid=Grid(scan.grid.shape, tilted))) == {"oblique"}


def found(scans: list[ScanFacts]) -> list[set[str]]:
    return [{problem.code for problem in one} for one in cross_problems(scans)]


def test_scans_are_compared_with_the_rest() -> None:
    rest = [
        replace(FACTS, patient=f"P-{n}", slice_thickness_mm=2.0, shows_lungs=True)
        for n in range(5)
    ]
    assert found(rest) == [set()] * 5
    odd = {
        "other-kernel": replace(FACTS, patient="x", kernel="S"),
        "other-body-part": replace(FACTS, patient="x", body_part="HEAD"),
        "other-contrast": replace(FACTS, patient="x", contrast=True),
        "other-modality": replace(FACTS, patient="x", modality="MR"),
        "slice-spacing-outlier": replace(
            FACTS, patient="x", spacing_mm=(5.0, 1.0, 1.0), shape=(40, 300, 300)
        ),
        "slice-thickness-outlier": replace(FACTS, patient="x", slice_thickness_mm=9.0),
        "height-outlier": replace(FACTS, patient="x", shape=(30, 300, 300)),
        "field-of-view-outlier": replace(FACTS, patient="x", shape=(100, 90, 90)),
        "other-content": replace(FACTS, patient="x", shows_lungs=False),
        "same-patient": replace(FACTS, patient="P-3"),
    }
    for code, scan in odd.items():
        among = found([*rest, scan])
        assert among[-1] == {code}
        expected = {"same-patient"} if code == "same-patient" else set()
        assert among[3] == expected


def test_without_a_majority_all_are_told() -> None:
    kernels = ("B", "B", "S", "S", "")
    scans = [replace(FACTS, patient=f"P-{n}", kernel=k) for n, k in enumerate(kernels)]
    assert found(scans) == [{"mixed-kernel"}] * 4 + [set()]


def test_duplicates_are_told_across_patients() -> None:
    one = replace(FACTS, voxel_hash="a")
    two = replace(FACTS, voxel_hash="a", patient="P-1")
    three = replace(FACTS, voxel_hash="b", patient="P-2")
    problems = cross_problems([one, two, three])
    assert [len(p) for p in problems] == [0, 1, 0]
    assert "another patient" in problems[1][0].text


def test_a_folder_is_checked_and_told_as_json(sample: Path, tmp_path: Path) -> None:
    inputs = tmp_path / "in"
    shutil.copytree(sample / "scans", inputs)
    first = sorted((inputs / "nifti").iterdir())[0]
    shutil.copy(first, inputs / "again.nii.gz")
    (inputs / "broken.nii.gz").write_bytes(b"nothing")
    steps: list[tuple[int, int, str]] = []
    rows = check(inputs, progress=lambda *step: steps.append(step), workers=0)

    by_name = {row.source.name: row for row in rows}
    assert len(rows) == len(steps) == 6
    assert by_name["broken.nii.gz"].severity == "error"
    pair = (by_name["again.nii.gz"], by_name[first.name])
    assert sum("duplicate" in {p.code for p in row.problems} for row in pair) == 1
    for name, row in by_name.items():
        if name != "broken.nii.gz":
            assert row.patient.startswith("P-")
            assert len(row.shape) == 3
    told = json.loads(json.dumps(to_json(rows)))
    assert {one["severity"] for one in told} >= {"error", "warning"}
    assert set(told[0]["problems"][0]) == {"code", "severity", "text", "action"}


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadScan):
        check(tmp_path)


def test_a_cohort_is_checked_without_reading_again(cohort: Cohort) -> None:
    key = cohort.keys()[0]
    problems = check_cohort(cohort)
    assert set(problems) == set(cohort.keys())
    codes = {p.code for found in problems.values() for p in found}
    assert "mixed-kernel" in codes  # the sample mixes kernels on purpose
    assert "duplicate" not in codes
    cohort.exclude(key, "test")
    assert set(check_cohort(cohort)) == set(problems)


def test_masks_of_a_real_folder_are_told_apart(real_data: Path) -> None:
    mask = real_data / "chest_ct" / "LIDC-IDRI-0001_nodule_votes.nii.gz"
    from scanlearn.cohort.labels.masks_among_scans import is_label_map
    from scanlearn.scans.read import read_scan

    assert is_label_map(read_scan(mask), "nifti")
    image = sorted((real_data / "hippocampus" / "images").iterdir())[0]
    assert not is_label_map(read_scan(image), "nifti")
    assert nib.load(image).shape
