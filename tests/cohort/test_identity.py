"""Whose scans are: patterns of file names, columns, identities of nobody."""

from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.identity import identity_remarks, with_identities
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.cohort.preparation.privacy import secrets_of
from scanlearn.cohort.quality.grouping import Remark, grouped
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadCohort, BadConfig, BadLabels
from scanlearn.scans.scan import Acquisition, ScanEntry

CONFIG = PrepareConfig(spacing_mm=8, workers=0)


def entry(path: str, patient: str = "ANONYMOUS") -> ScanEntry:
    file = Path(path)
    return ScanEntry(
        file, "nifti", (file,), Acquisition(), (9, 9, 9), (1, 1, 1), "SPL", patient
    )


@pytest.mark.parametrize(
    ("pattern", "path", "patient"),
    [
        ("{patient}_*", "/d/P001_CT_2.nii.gz", "P001"),
        ("{patient}", "/d/P001.nii.gz", "P001"),
        ("*_{patient}_*", "/d/CT_P001_2.nii", "P001"),
        ("{patient}/*", "/d/P001/CT.nii.gz", "P001"),
        ("{patient}/*/*", "/d/P001/2020/CT.nii.gz", "P001"),
        ("sub-{patient}?ses-*", "/d/sub-01_ses-2_ct.nii.gz", "01"),
        ("{patient}-[CT]*", "/d/P.1-[CT]x.nrrd", "P.1"),
        ("Größe{patient}", "/d/Gro\u0308ße7.nii", "7"),
    ],
)
def test_patterns(pattern: str, path: str, patient: str) -> None:
    (found,) = with_identities([entry(path, "H-4711")], pattern)
    assert found.identity == patient
    # The identity in the file stays a secret, too.
    assert {"H-4711"} <= set(secrets_of(found))


letters = st.text("abcXYZ0123456789.", min_size=1, max_size=6)


@given(
    st.lists(st.tuples(letters, letters), min_size=1, max_size=5),
    st.sampled_from("_-+"),
)
def test_the_part_before_a_separator(names: list[tuple[str, str]], sign: str) -> None:
    entries = [entry(f"/d/{a}{sign}{b}{sign}x.nii.gz") for a, b in names]
    found = with_identities(entries, f"{{patient}}{sign}*")
    assert [one.identity for one in found] == [a for a, _ in names]


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("P*", "does not say where {patient} is"),
        ("{patient}_{patient}", "does not say where"),
        ("{patient}_x*", "does not fit 1 of 2 scans: b_CT.nii.gz"),
    ],
)
def test_patterns_that_tell_nothing_are_refused(pattern: str, words: str) -> None:
    scans = [entry("/d/a_x1.nii.gz"), entry("/d/b_CT.nii.gz")]
    with pytest.raises(BadConfig, match=re.escape(words)):
        with_identities(scans, pattern)


def test_one_identity_for_all_is_told() -> None:
    scans = [entry(f"/d/{n}.nii") for n in range(6)]
    (told,) = identity_remarks(scans, 1, 6)
    assert "all 6 scans (of 6 folders or files) carry the same identity" in told
    assert "--patient-from" in told
    assert identity_remarks(scans[:1], 1, 1) == []


@pytest.mark.parametrize(
    "name",
    ["ANONYMOUS", "anon^anon", "Anonymized 01x", "XXXX", "0000", "N/A", "Unknown"],
)
def test_identities_of_nobody_are_told(name: str) -> None:
    scans = [entry("/a.nii", name), entry("/b.nii", name), entry("/c.nii", "Meier^A")]
    (told,) = identity_remarks(scans, 2, 3)
    assert told.startswith(f"2 of 3 scans carry the identity '{name}'")


def test_real_identities_are_left_alone() -> None:
    scans = [
        entry("/a.nii", "Meier^A"),
        entry("/b.nii", "Meier^A"),
        entry("/c.nii", "9"),
    ]
    assert identity_remarks(scans, 2, 3) == []


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for patient in ("p1", "p2"):
        for number in range(2):
            path = tmp_path / "in" / f"{patient}_{number}.nii.gz"
            path.parent.mkdir(exist_ok=True)
            voxels = rng.integers(0, 999, (12, 12, 12)).astype(np.int16)
            nib.save(nib.Nifti1Image(voxels, np.diag([8, 8, 8, 1.0])), path)
    return tmp_path / "in"


def test_a_cohort_keeps_how_its_patients_are_told(folder: Path, tmp_path: Path) -> None:
    told = CONFIG.model_copy(update={"patient_from": "{patient}_*"})
    prepare(folder, tmp_path / "c", told)
    cohort = Cohort(tmp_path / "c")
    patients = {record.patient for record in cohort.records()}
    assert (len(cohort), len(patients)) == (4, 2)
    # Extended without the option, the same scans keep their keys.
    again = prepare(folder, tmp_path / "c", CONFIG)
    assert len(again.kept) == 4
    assert len(Cohort(tmp_path / "c")) == 4
    other = CONFIG.model_copy(update={"patient_from": "{patient}"})
    with pytest.raises(BadCohort, match="patients told otherwise"):
        prepare(folder, tmp_path / "c", other)


def test_a_column_of_a_table_tells_the_patients(folder: Path, tmp_path: Path) -> None:
    rows = ["path;Fall"]
    rows += [f"in\\{p.name};{p.name[:2]}" for p in sorted(folder.iterdir())]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    told = CONFIG.model_copy(update={"patient_from": "Fall"})
    report = prepare(tmp_path / "t.csv", tmp_path / "c", told)
    assert len({r.patient for r in Cohort(tmp_path / "c").records()}) == 2
    assert report.remarks == ()
    wrong = CONFIG.model_copy(update={"patient_from": "Patient"})
    with pytest.raises(BadLabels, match="no column 'Patient', only path, Fall"):
        prepare(tmp_path / "t.csv", tmp_path / "d", wrong)


def test_what_many_scans_share_is_one_line() -> None:
    thick = [
        Remark(
            f"/d/s{n}.nii", f"Slices are {5.5 + n % 3:.1f} mm apart: things are lost."
        )
        for n in range(200)
    ]
    named = [
        Remark(f"/d/s{n}.nii", f"/d/s{n}.nii cannot be read: it is empty")
        for n in (7, 8)
    ]
    assert grouped([*thick, *named, Remark("/d/x.nii", "No lungs were found.")]) == [
        "200 scans: Slices are 5.5 to 7.5 mm apart: things are lost. "
        "(/d/s0.nii, /d/s1.nii, /d/s2.nii and 197 more)",
        "2 scans: cannot be read: it is empty (/d/s7.nii, /d/s8.nii)",
        "/d/x.nii: No lungs were found.",
    ]


@given(
    st.lists(st.tuples(st.integers(0, 5), st.text("ab1 .", max_size=6)), max_size=20)
)
def test_no_remark_is_lost(found: list[tuple[int, str]]) -> None:
    remarks = [Remark(f"/d/scan-{n}.nii", text) for n, text in found]
    lines = grouped(remarks)
    assert len(lines) <= len(remarks)
    counts = [re.match(r"(\d+) scans?: ", line) for line in lines]
    assert sum(int(c[1]) if c else 1 for c in counts) >= len({r.scan for r in remarks})
