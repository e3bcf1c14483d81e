"""Every check on a folder of scans made by hand, from its headers and its voxels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scanlearn.cohort.quality.checks import (
    CheckRow,
    check,
    check_headers,
    from_json,
    to_json,
)
from scanlearn.scans.find import find_scans

USUAL = np.arange(30) * 5.0


@pytest.fixture(scope="module")
def odd_folder(
    write_ct: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return five usual chests and one scan of each odd kind, named by it."""
    folder = tmp_path_factory.mktemp("odd")
    for number in range(5):
        write_ct(folder / f"usual-{number}", f"patient {number}")
    write_ct(folder / "zz-copy", "somebody else", noise="patient 0")
    write_ct(folder / "tilt", "tilted", tilt=0.2)
    write_ct(folder / "missing", "missing", heights=np.delete(USUAL, [11, 12]))
    uneven = USUAL + np.where(USUAL > 70, 1.7, 0)
    write_ct(folder / "uneven", "uneven", heights=uneven)
    write_ct(folder / "slice-gaps", "gaps", SliceThickness=1.0)
    write_ct(
        folder / "slice-spacing-outlier",
        "thick",
        heights=np.arange(13) * 12.0,
        SliceThickness=12.0,
    )
    write_ct(folder / "height-outlier", "short", heights=USUAL[8:20])
    write_ct(folder / "small-field", "small", PixelSpacing=[1.5, 1.5])
    write_ct(folder / "not-hu", "shifted", RescaleIntercept=1000)
    write_ct(folder / "same-patient", "patient 3", noise="again")
    write_ct(folder / "other-kernel", "sharp", ConvolutionKernel="B80f")
    write_ct(folder / "other-contrast", "bright", ContrastBolusAgent="Iomeprol")
    write_ct(folder / "other-body-part", "head", BodyPartExamined="HEAD")
    write_ct(folder / "other-content", "belly", lungs=False)
    broken = write_ct(folder / "unreadable", "broken")
    slice_20 = broken / "020.dcm"
    slice_20.write_bytes(slice_20.read_bytes()[:-900])
    mr = np.random.default_rng(0).integers(0, 900, (20, 20, 20)).astype(np.int16)
    mask = (mr > 450).astype(np.uint8)
    nib.save(nib.Nifti1Image(mask, np.eye(4)), folder / "tilt_labels.nii.gz")
    (folder / "noise.nii.gz").write_bytes(b"no image")
    return folder


@pytest.fixture(scope="module")
def rows(odd_folder: Path) -> dict[str, CheckRow]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCANLEARN_HOME", str(odd_folder.parent / "home"))
        return {row.source.name: row for row in check(odd_folder, workers=0)}


def codes(row: CheckRow) -> set[str]:
    return {problem.code for problem in row.problems}


@pytest.mark.parametrize(
    ("code", "severity"),
    [
        ("tilt", "warning"),
        ("missing", "error"),
        ("uneven", "error"),
        ("slice-gaps", "warning"),
        ("slice-spacing-outlier", "warning"),
        ("height-outlier", "warning"),
        ("small-field", "note"),
        ("not-hu", "warning"),
        ("same-patient", "note"),
        ("other-kernel", "note"),
        ("other-contrast", "note"),
        ("other-body-part", "warning"),
        ("other-content", "warning"),
        ("unreadable", "error"),
    ],
)
def test_each_oddity_is_found_with_its_severity(
    rows: dict[str, CheckRow], code: str, severity: str
) -> None:
    found = [problem for problem in rows[code].problems if problem.code == code]
    assert [problem.severity for problem in found] == [severity]
    if severity != "note":
        assert found[0].action  # says what to do


def test_usual_scans_have_no_remark_but_those_of_their_patient(
    rows: dict[str, CheckRow],
) -> None:
    alone = ("usual-1", "usual-2", "usual-4")
    # No atlas is made for lungs drawn as two ellipses.
    lungs = {"registration"}
    assert [codes(rows[name]) - lungs for name in alone] == [set()] * 3
    assert codes(rows["usual-3"]) - lungs == {"same-patient"}


def test_copies_files_that_are_none_and_masks(rows: dict[str, CheckRow]) -> None:
    assert "duplicate" in codes(rows["zz-copy"])
    assert "duplicate" not in codes(rows["usual-0"])
    assert rows["noise.nii.gz"].severity == "error"
    assert codes(rows["tilt_labels.nii.gz"]) == {"label-map"}


def test_tilt_is_not_told_twice_and_gaps_are_not_called_mended(
    rows: dict[str, CheckRow],
) -> None:
    assert "oblique" not in codes(rows["tilt"])
    text = next(p.text for p in rows["missing"].problems if p.code == "missing")
    assert "2 slices are missing" in text
    assert "interpolated" not in text


def test_headers_alone_tell_what_needs_no_voxels(
    odd_folder: Path, rows: dict[str, CheckRow]
) -> None:
    early = {
        row.source.name: codes(row) for row in check_headers(find_scans(odd_folder))
    }
    late = {"duplicate", "not-hu", "other-content", "no-lungs", "registration"}
    for name, row in rows.items():
        expected = {code for code in codes(row) - late if not code.startswith("lung-")}
        assert early[name] == expected, name


def test_rows_survive_json(rows: dict[str, CheckRow]) -> None:
    import json

    before = list(rows.values())
    after = from_json(json.loads(json.dumps(to_json(before))))
    assert after == [replace(row) for row in before]
