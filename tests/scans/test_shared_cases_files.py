"""Made-up inputs of situations that people reported: files, tables and places.

The generators lie in ``../shared/cases`` beside the repository. Each prints the right
answer; the table in ``docs/awkward_scans.md`` shows what this program says.
"""

from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadScan, ScanlearnError
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan
from scanlearn.scans.scan import Scan
from scanlearn.scans.tables.label_tables import read_table

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT.parent / "shared" / "cases"
PAGE = ROOT / "docs" / "awkward_scans.md"


def scans_of(folder: Path) -> dict[str, Scan]:
    """Read every scan of a folder from its entry."""
    return {entry.path.name: read_scan(entry) for entry in find_scans(folder)}


def errors_of(folder: Path) -> list[str]:
    return [entry.error for entry in find_scans(folder) if entry.error]


def is_true(scan: Scan, shift: int = 0) -> bool:
    """Whether every voxel holds what its place in the patient says."""
    index = np.stack(np.indices(scan.grid.shape), -1)
    x, y, z = np.moveaxis(scan.grid.to_patient(index), -1, 0)
    right = np.rint(-600 + 4 * x + 6 * y + 10 * z) + shift
    return np.array_equal(scan.voxels, right)


def codes(scan: Scan) -> set[str]:
    return {problem.code for problem in scan.problems}


def one_identity(folder: Path, _answer: dict[str, Any]) -> bool:
    config = PrepareConfig(spacing_mm=4, workers=0)
    told = prepare(folder, folder.parent / "cohort", config).remarks
    both = "all 6 scans (of 6 folders or files) carry the same identity"
    other = config.model_copy(update={"patient_from": "{patient}"})
    repaired = prepare(folder, folder.parent / "repaired", other)
    return both in told[0] and repaired.remarks == ()


def plain_gz(folder: Path, _answer: dict[str, Any]) -> bool:
    (error,) = errors_of(folder)
    return "not compressed" in error and "Rename it to plain.nii" in error


def broken_sform(folder: Path, _answer: dict[str, Any]) -> bool:
    (scan,) = scans_of(folder).values()
    return is_true(scan) and "forms_disagree" in codes(scan)


def slices_in_dim4(folder: Path, _answer: dict[str, Any]) -> bool:
    (entry,) = find_scans(folder)
    return any("8 volumes of one slice each" in p.text for p in entry.problems)


def big_integers(folder: Path, _answer: dict[str, Any]) -> bool:
    scans = scans_of(folder)
    return len(scans) == 3 and all(
        is_true(scan, shift=1000 * name.startswith("u")) for name, scan in scans.items()
    )


def all_true(folder: Path, _answer: dict[str, Any]) -> bool:
    return all(map(is_true, scans_of(folder).values()))


def analyze(folder: Path, _answer: dict[str, Any]) -> bool:
    (error,) = errors_of(folder)
    return "Analyze" in error and "left and right" in error


def five_dimensions(folder: Path, _answer: dict[str, Any]) -> bool:
    (entry,) = find_scans(folder)
    return any("holds 3 volumes" in problem.text for problem in entry.problems)


def windows_paths(folder: Path, _answer: dict[str, Any]) -> bool:
    table = read_table(folder / "table.csv", needed=(("mask",),))
    return [p.name for p in table["path"]] == [f"c{k}.nii.gz" for k in range(4)]


def unicode_text(folder: Path, _answer: dict[str, Any]) -> bool:
    right = [f"c{k}.nii.gz" for k in range(2)]
    for name in ("utf16", "tabs", "sep"):
        table = read_table(folder / f"{name}.csv", needed=(("mask",),))
        if [path.name for path in table["mask"]] != right:
            return False
    try:
        read_table(folder / "cp1252.csv")
    except ScanlearnError as error:
        return "line 2" in str(error) and "CSV UTF-8" in str(error)
    return False


def turned_picture(folder: Path, answer: dict[str, Any]) -> bool:
    (scan,) = scans_of(folder).values()
    row, column = np.mgrid[:60, :40]
    grey = np.rot90((row * 3 + column).clip(0, 255), -1)
    near = np.abs(scan.voxels[0].astype(int) - grey).max() <= 3  # it is a JPEG
    return list(scan.voxels.shape) == answer["shape"] and near


def no_rights(folder: Path, answer: dict[str, Any]) -> bool:
    """Run the commands that the generator prints."""
    for command in answer["commands"]:
        words = command.split()
        at = words.index("scanlearn")
        words[at : at + 1] = [sys.executable, "-m", "scanlearn"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if "Traceback" in done.stderr:
            return False
        if "info" in words:
            locked = "locked is a folder that may not be entered" in done.stdout
            return done.returncode == 0 and locked and "a.nii.gz" in done.stdout
        if done.returncode != 2 or f"{folder}/readonly" not in done.stderr:
            return False
    return False


#: What this program says, and how the answer is compared with it.
Check = Callable[[Path, dict[str, Any]], bool]
ANSWERS: dict[int, tuple[str, Check]] = {
    27: ("told at `prepare`: one identity for 6 scans; `--patient-from`", one_identity),
    30: ("refused: not compressed; the name it should have", plain_gz),
    36: ("read by its qform, with a warning that names the sform", broken_sform),
    38: ("warned: 8 volumes of one slice each", slices_in_dim4),
    39: ("read to the last digit", big_integers),
    41: ("read", all_true),
    43: ("read: links to folders are followed, each folder once", all_true),
    44: ("refused: Analyze, whose left and right are not stated", analyze),
    45: ("warned: 3 volumes", five_dimensions),
    85: ("found: a back-slash separates folders", windows_paths),
    86: ("read; cp1252 refused with its line and what to save", unicode_text),
    90: ("turned, with a note", turned_picture),
    95: ("read in millimetres", all_true),
    97: ("one line, exit code 2; the locked folder is listed", no_rights),
}


def script_of(number: int) -> Path:
    found = sorted(CASES.glob(f"{number:02}_*.py"))
    if not found:
        pytest.skip(f"no case {number} in {CASES}")
    return found[0]


@pytest.mark.parametrize("number", ANSWERS)
def test_a_case_has_its_right_answer(number: int, tmp_path: Path) -> None:
    if number == 97:
        pytest.importorskip("resource", reason="file rights of POSIX")
    folder = tmp_path / "case"
    done = subprocess.run(
        [sys.executable, script_of(number), folder],
        capture_output=True,
        text=True,
        check=True,
    )
    _, check = ANSWERS[number]
    try:
        assert check(folder, json.loads(done.stdout))
    finally:
        if number == 97:
            (folder / "in" / "locked").chmod(0o700)


def test_the_page_shows_the_cases() -> None:
    text = PAGE.read_text(encoding="utf-8")
    begin, end = "<!-- cases files: begin -->\n", "<!-- cases files: end -->"
    assert text.split(begin)[1].split(end)[0] == table()


def table() -> str:
    rows = [f"| {n} | {_situation(n)} | {said} |" for n, (said, _) in ANSWERS.items()]
    head = ["| case | situation | what this program does |", "|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _situation(number: int) -> str:
    first = script_of(number).read_text(encoding="utf-8").split('"""')[1].split("\n")[0]
    return re.sub(r"\|", "/", first)


def test_a_lying_kilobyte_is_refused_before_it_takes_memory(tmp_path: Path) -> None:
    header = nib.Nifti1Header()
    header.set_data_shape((32767,) * 3)
    header.set_data_dtype(np.int16)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    content = header.binaryblock + bytes(4 + 600)
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(content))
    with pytest.raises(BadScan, match=r"promises|needs"):
        read_scan(tmp_path / "a.nii.gz")
