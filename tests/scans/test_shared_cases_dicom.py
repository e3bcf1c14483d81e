"""The shared cases of DICOM images, through the command line's own doors.

Each generator writes a tiny input and prints the right answer. What is answered here
stands as a table in docs/awkward_scans.md, between two marks, and is compared with it.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from scanlearn.errors import BadScan
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan

CASES = Path(__file__).parents[2].parent / "shared" / "cases"
PAGE = Path(__file__).parents[2] / "docs" / "awkward_scans.md"
MARKS = "<!-- cases dicom: begin -->", "<!-- cases dicom: end -->"

#: Number, what is awkward, and how it is answered.
ANSWERS = {
    "01": (
        "one SOPInstanceUID for all slices",
        "copies have the same place and the same pixels, too",
    ),
    "02": (
        "another SeriesInstanceUID in every slice",
        "slices of one plane, study and series number are one series",
    ),
    "04": ("spacing with decimal commas", "a comma can mean nothing else"),
    "05": ("rescale with decimal commas", "likewise; other spellings are refused"),
    "06": ("12 bits stored from bit 15 down", "the bits are shifted"),
    "07": ("a modality LUT", "applied; units stay untold"),
    "08": (
        "two phases half a step apart",
        "parted by the tag whose parts are even and lie between each other",
    ),
    "10": ("cone-beam CT called DX", "sections with places are a volume"),
    "15": ("negative values stored without a sign", "as the header says, and told"),
    "17": ("two sizes in one series", "one scan for each plane"),
    "19": ("SliceLocation without positions", "no place is guessed"),
    "20": ("one position in every slice", "no place is guessed"),
    "21": ("group length and padding round the pixels", "passed over"),
    "22": ("an unknown character set", "texts are read as Latin-1"),
    "26": (
        "enhanced MR, several b-values and directions",
        "parted by the functional groups, here a dimension",
    ),
    "28": ("CT as MONOCHROME1, compressed", "the values of a CT are never turned"),
    "93": (
        "radiographs, inverse by photometric or LUT shape",
        "turned once where either says so",
    ),
}


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    """Return a function that writes a case and returns its folder and its answer."""
    if not CASES.is_dir():
        pytest.skip("the shared cases are not here")

    def write(number: str) -> tuple[Path, dict[str, Any]]:
        [program] = CASES.glob(f"{number}_*.py")
        folder = tmp_path_factory.mktemp("cases") / number
        ran = subprocess.run(
            [sys.executable, program, folder], capture_output=True, check=True
        )
        return folder, json.loads(ran.stdout.splitlines()[-1])

    return write


def truth(grid) -> np.ndarray:
    """Return the values that the cases put at each place."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    return np.rint(-600 + grid.to_patient(index) @ np.array([4.0, 6.0, 10.0]))


def measure(folder: Path) -> tuple[str, list]:
    """Return what is answered in a few words, and the scans that can be read."""
    entries = find_scans(folder)
    scans = [read_scan(entry) for entry in entries if not entry.error]
    if not scans:
        with pytest.raises(BadScan) as caught:
            read_scan(folder)
        assert caught.value.next_step
        what = caught.value.found.partition(": ")[2].replace("|", "/")
        return f"refused: {what}", []
    sizes = [" x ".join(map(str, scan.grid.shape)) for scan in scans]
    warned = {p.code for scan in scans for p in scan.problems if p.severity != "note"}
    told = "; ".join(dict.fromkeys(sizes))
    several = "" if len(sizes) == 1 else f"{len(sizes)} scans: "
    remark = f", warned: {', '.join(sorted(warned))}" if warned else ""
    return f"read: {several}{told}{remark}", scans


def row(number: str, answer: str) -> str:
    what, how = ANSWERS[number]
    return f"| {number} | {what} | {answer} | {how} |"


@pytest.mark.parametrize("number", ANSWERS)
def test_a_case_is_answered_as_it_should(case, number):
    folder, right = case(number)
    answer, scans = measure(folder)
    shapes = right.get("shapes") or ([right["shape"]] if "shape" in right else [])
    if shapes:
        assert sorted(scan.grid.shape for scan in scans) == sorted(map(tuple, shapes))
    if "spacing" in right:
        np.testing.assert_allclose(scans[0].grid.spacing_mm, right["spacing"])
    if "refusal" in right["right"] and not shapes:
        assert answer.startswith("refused")
    if "truth" in right.get("check", "") or number in ("01", "02", "04", "17"):
        shift = 1024 if right.get("check") == "truth+1024" else 0
        for scan in scans:
            np.testing.assert_array_equal(scan.voxels, truth(scan.grid) + shift)
    _check_more(number, scans)
    assert row(number, answer) in PAGE.read_text(encoding="utf-8")


def _check_more(number: str, scans: list) -> None:
    """Check what the answers of the cases say in words."""
    if number == "08":
        for scan, shift in zip(scans, (0, 300), strict=True):
            np.testing.assert_array_equal(scan.voxels, truth(scan.grid) + shift)
    if number == "15":
        assert scans[0].voxels.max() == 65298
        assert (scans[0].voxels[:, :3] == 63488).all()
        assert "not-hu" in [p.code for p in scans[0].problems]
    if number == "26":
        for volume, scan in enumerate(scans):
            expected = truth(scan.grid) + 1000 + 500 * volume
            np.testing.assert_array_equal(scan.voxels, expected)
    if number == "93":
        rows, columns = np.mgrid[:64, :48]
        stored = rows * 40 + columns
        for scan, turned in zip(scans, (True, True, True, False), strict=True):
            expected = 4095 - stored if turned else stored
            np.testing.assert_array_equal(scan.voxels[0], expected)
            assert bool(scan.problems) == turned


def test_the_page_holds_the_rows_of_these_cases_alone(case):
    page = PAGE.read_text(encoding="utf-8")
    table = page.partition(MARKS[0])[2].partition(MARKS[1])[0]
    numbers = [line.split("|")[1].strip() for line in table.splitlines() if "|" in line]
    assert numbers == ["case", "---", *ANSWERS]
