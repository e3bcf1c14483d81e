"""Reported situations of labels: each gives the stated answer, or a refusal in words.

Every case is a program beside the repository that writes a small input and prints the
right answer. What is found here is the table in docs/awkward_scans.md.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadLabels
from scanlearn.tasks.shared.label_maps import collect_labels

REPOSITORY = Path(__file__).parents[2]
TABLE = REPOSITORY / "docs" / "awkward_scans.md"

#: Case -> the situation in our words, and a part of the remark, or none.
READ = {
    51: (
        "RT-STRUCT: contours half-way between the slices",
        "contours between slices were drawn on the nearest one (organ 9 up to 1 mm",
    ),
    52: (
        "RT-STRUCT: regions without any contour",
        "region nowhere is empty in scan.dcm",
    ),
    54: ("RT-STRUCT: interpolated contours among drawn ones", ""),
    56: (
        "RT-STRUCT: contours beyond the field of view and above the scan",
        "contours outside the scan were left out (organ 15)",
    ),
    58: (
        "RT-STRUCT: contours on every second slice",
        "those between stay empty (organ 5 empty slices)",
    ),
    60: (
        "DICOM-SEG: frames that begin on whole bytes",
        "each frame begins on a whole byte, against the standard; read so",
    ),
    62: (
        "DICOM-SEG: fractions that are all nothing or the whole",
        "fractions that are all 0 or the whole were read as a binary mask",
    ),
    65: ("RT-STRUCT: named freely, refers to its series", ""),
    66: ("RT-STRUCT: two contours of a region overlap", ""),
    67: (
        "RT-STRUCT: regions numbered otherwise in every file",
        "classes were joined by name: heart, liver",
    ),
    70: ("mask: values scaled by 1/255, or 0.99999994", ""),
    75: ("mask: origin and direction rounded", ""),
    80: (
        "Slicer segmentation: overlapping segments in layers",
        "regions overlap; the smaller one shows (960 voxels)",
    ),
    81: ("Slicer segmentation: saved with its smallest extent", ""),
}
REFUSED = {
    71: (
        "mask: one-hot, a channel a class",
        "Join channels that hold a class each (one-hot) into one volume",
    ),
    73: (
        "mask: identity matrix, no place",
        "lies on another grid than its scan",
    ),
    76: (
        "mask: -1 outside the field of view",
        "negative values down to -1, in 768 of 10752 voxels",
    ),
    78: (
        "masks: a file an organ, two of them the same voxels",
        "hold the very same voxels",
    ),
}


@pytest.fixture(scope="session")
def cases():
    """Return the folder of cases, or skip: they are no part of the project."""
    folder = REPOSITORY.parent / "shared" / "cases"
    folder = Path(os.environ.get("SCANLEARN_TEST_CASES", folder))
    if not folder.is_dir():
        pytest.skip(f"no cases in {folder}; set SCANLEARN_TEST_CASES")
    return folder


def make(cases, number, folder):
    """Write a case, prepare its scans; returns the answer, the cohort and labels."""
    (program,) = cases.glob(f"{number}_*.py")
    told = subprocess.run(
        [sys.executable, program, folder], check=True, capture_output=True, text=True
    )
    scans = next(
        p for p in (folder / n for n in ("scan", "scans", "images")) if p.is_dir()
    )
    prepare(scans, folder / "cohort", PrepareConfig(spacing_mm=1, workers=0))
    answer = json.loads(told.stdout.splitlines()[-1])
    return answer, Cohort(folder / "cohort"), folder / "labels"


@pytest.mark.parametrize("number", READ)
def test_read(cases, tmp_path, number):
    answer, cohort, labels = make(cases, number, tmp_path)
    found = collect_labels(labels, cohort)
    assert any(READ[number][1] in remark for remark in found.remarks)
    for value, count in answer.get("voxels", {}).items():
        assert all(item.voxels == {int(value): count} for item in found.items)
    for value, cylinder in answer.get("cylinder", {}).items():
        x, y, radius, low, high = cylinder
        for item in found.items:
            source = cohort.source_grid(item.scan)
            expected = inside_cylinder(source, (x, y), radius, low, high)
            assert item.voxels == {int(value): np.count_nonzero(expected)}
            # The place, too: on the cohort's grid.
            mapped = item.read() == int(value)
            there = inside_cylinder(item.grid, (x, y), radius + 0.75, low - 1, high + 1)
            assert not (mapped & ~there).any()
    if "slices" in answer:
        (item,) = found.items
        assert item.how.painted == answer["slices"]
        assert item.voxels[1] == pytest.approx(331 * answer["slices"], rel=0.05)
    if number == 66:
        (item,) = found.items
        middle = np.rint(item.grid.to_index((0, 0, 14))).astype(int)
        assert item.read()[tuple(middle)] == 1
    if number == 67:
        counts = {one.name: (one.files, one.voxels) for one in found.counts()}
        assert counts["heart"] == (4, 4 * answer["heart"])
        assert counts["liver"][0] == 4
    if number == 80:
        assert found.names == {1: "liver", 2: "spleen"}


def inside_cylinder(grid, centre, radius, low, high):
    points = grid.to_patient(np.stack(np.indices(grid.shape), axis=-1))
    off = np.hypot(points[..., 0] - centre[0], points[..., 1] - centre[1])
    return (off < radius) & (points[..., 2] >= low - 1e-3) & (points[..., 2] <= high)


@pytest.mark.parametrize("number", REFUSED)
def test_refused(cases, tmp_path, number):
    _, cohort, labels = make(cases, number, tmp_path)
    with pytest.raises(BadLabels) as error:
        collect_labels(labels, cohort)
    assert REFUSED[number][1] in str(error.value)
    assert error.value.expected
    assert error.value.next_step


def test_organs_of_their_own_voxels_are_classes(cases, tmp_path):
    """Case 78 again, its organs told apart: its files then are the classes."""
    import nibabel as nib

    _, cohort, labels = make(cases, 78, tmp_path)
    for file in labels.rglob("liver.nii.gz"):
        image = nib.load(file)
        nib.save(nib.Nifti1Image(np.roll(image.get_fdata(), 12, 0), image.affine), file)
    found = collect_labels(labels, cohort)
    assert sorted(found.names.values()) == ["liver", "spleen"]
    assert all(sorted(item.voxels.values()) == [1152, 1152] for item in found.items)


def test_the_page_says_the_same():
    page = TABLE.read_text(encoding="utf-8")
    start, end = "<!-- cases labels: begin -->", "<!-- cases labels: end -->"
    assert page.split(start)[1].split(end)[0].strip() == rows_of_the_page()


def rows_of_the_page():
    rows = ["| case | situation | result | what is said |", "|---|---|---|---|"]
    for number, (situation, said) in sorted((READ | REFUSED).items()):
        result = "read" if number in READ else "refused"
        rows.append(f"| {number} | {situation} | {result} | {said or '–'} |")
    return "\n".join(rows)
