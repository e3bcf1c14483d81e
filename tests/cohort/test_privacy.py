"""Outside ``private/`` nothing tells who a patient is or where a scan came from."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.plan import patient_identity
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.cohort.preparation.privacy import scrubbed, secrets_of, tokens_of
from scanlearn.config.prepare import PrepareConfig
from scanlearn.phantom.chest import make_chest
from scanlearn.phantom.dicom_out import write_dicom_series
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.scans.find import find_scans
from scanlearn.scans.scan import Acquisition, ScanEntry

#: Planted into every place of a header that could carry an identity.
MARKS = {
    "PatientID": "IDQX7731",
    "PatientName": "SURQX^GIVENQX",
    "PatientBirthDate": "19410607",
    "IssuerOfPatientID": "ISSUERQX",
    "InstitutionName": "CLINICQX",
    "ReferringPhysicianName": "DOCTORQX",
    "AccessionNumber": "ACCQX55",
    "StudyDescription": "study of GIVENQX",
    "SeriesDescription": "series of SURQX",
    "ContrastBolusAgent": "agent of GIVENQX",
    "OtherPatientIDs": ["OTHERQX1", "OTHERQX2"],
    "OtherPatientNames": "BORNQX^GIVENQX",
    "InstitutionalDepartmentName": "WARDQX",
    "OperatorsName": "HANDSQX",
    "PerformingPhysicianName": "PERFORMQX",
    "PhysiciansOfRecord": ["RECORDQX", "READERQX"],
    "StationName": "STATIONQX",
    "StudyInstanceUID": "1.2.826.7731.1",
    "SeriesInstanceUID": "1.2.826.7731.2",
}
FRAGMENTS = ("IDQX", "SURQX", "GIVENQX", "19410607", "ISSUERQX", "CLINICQX")
FRAGMENTS += ("DOCTORQX", "ACCQX", "826.7731", "FOLDERQX", "FILEQX", "OTHERQX")
FRAGMENTS += ("BORNQX", "WARDQX", "HANDSQX", "PERFORMQX", "RECORDQX", "READERQX")
FRAGMENTS += ("STATIONQX", "NESTEDQX", "LATEQX", "07.06.1941", "1941-06-07", "7.6.41")
#: What technicians write into free text, and what of it is kept.
FREE_TEXT = {
    "BodyPartExamined": "CHEST_SURQX",
    "ConvolutionKernel": "B30f HANDSQX DOCTORQX",
    "Manufacturer": "Maker for CLINICQX OTHERQX2, born 07.06.1941 (7.6.41)",
}


@pytest.fixture
def secretive(tmp_path: Path) -> Path:
    """Return a folder whose names and headers all carry marks."""
    folder = tmp_path / "FOLDERQX"
    phantom = make_chest(3, 1, spacing_mm=(8, 5, 5))
    write_dicom_series(folder / "SURQX_GIVENQX", phantom)
    slices = sorted((folder / "SURQX_GIVENQX").iterdir())
    last = slices[-1].name
    for path in slices:
        image = pydicom.dcmread(path)
        for name, value in MARKS.items():
            setattr(image, name, value)
        for name, value in FREE_TEXT.items():
            setattr(image, name, value)
        request = pydicom.Dataset()
        request.RequestingPhysician = "NESTEDQX"
        image.RequestAttributesSequence = [request]
        if path.name == last:  # stated by one of the slices only
            image.OperatorsName = "LATEQX"
        image.save_as(path)
    voxels = phantom.scan.voxels.astype(np.float32)
    voxels[0, 0, 0] = np.nan  # the reader's remark names the file
    write_nifti(folder / "FILEQX.nii.gz", voxels, phantom.scan.grid, read_back=False)
    return folder


def test_no_identity_leaves_the_private_folder(secretive: Path, tmp_path: Path) -> None:
    out = tmp_path / "cohort"
    report = prepare(secretive, out, PrepareConfig(workers=0, spacing_mm=5.0))
    assert len(report.prepared) == 2
    cohort = Cohort(out)
    assert any("not_finite" in p.code for r in cohort.records() for p in r.checks)
    (dicom,) = [r for r in cohort.records() if r.kernel]
    assert dicom.body_part == "CHEST_…"
    assert dicom.kernel == "B30f … …"
    assert dicom.manufacturer == "Maker for … …, born … (…)"
    cohort.exclude(cohort.keys()[0], "test")

    public = [p for p in out.rglob("*") if "private" not in p.parts and p.is_file()]
    assert any("placements" in path.parts for path in public)
    assert len(public) == 12
    for path in public:
        content = path.read_bytes() + path.name.encode()
        if path.suffix == ".npz":
            with np.load(io.BytesIO(content)) as arrays:
                content += b"".join(arrays[name].tobytes() for name in arrays)
        for mark in FRAGMENTS:
            assert mark.encode() not in content, f"{mark} in {path.name}"
            assert mark.lower().encode() not in content.lower()
    assert "FILEQX" in (out / "private" / "sources.csv").read_text()
    assert (out / "private").stat().st_mode & 0o077 == 0


def test_the_identity_is_the_patient_id_with_its_issuer(secretive: Path) -> None:
    (dicom,) = find_scans(secretive / "SURQX_GIVENQX")
    assert "IDQX7731" in patient_identity(dicom)
    (nifti,) = find_scans(secretive / "FILEQX.nii.gz")
    assert patient_identity(nifti) == "FILEQX"


def test_secrets_are_replaced_and_words_stay() -> None:
    entry = ScanEntry(
        path=Path("/data/DOE_JANE/ct"),
        kind="dicom",
        files=(Path("/data/DOE_JANE/ct/0001.dcm"),),
        acquisition=Acquisition(),
        shape=(),
        spacing_mm=(),
        orientation="",
        patient="DOE^JANE",
        series_uid="1.2.3.4",
    )
    secrets = secrets_of(entry)
    text = (
        "/data/DOE_JANE/ct/0001.dcm of Doe (series 1.2.3.4) has 3 gaps; janet is fine"
    )
    assert scrubbed(text, secrets) == "… of … (series …) has 3 gaps; janet is fine"


@pytest.mark.parametrize(
    ("stated", "text", "left"),
    [
        ("Li^Wei", "seen by li, wei and LIWEI", "seen by …, … and LIWEI"),
        ("DOE^JANE^^DR", "DR CT of Doe_1 for JANE-2", "DR CT of …_1 for …-2"),
        ("Yamada^Tarou=山田^太郎", "胸部山田様 Tarou", "胸部…様 …"),
        ("Smith-Jones^A", "Smith, Jones or Smith-Jones", "…, … or …"),
        ("Chest Clinic Nord", "CHEST at the Clinic Nord", "CHEST at the Clinic …"),
        ("19410607", "1941 06 07, 7/6/1941, 1941", "…, …, 1941"),
        ("MÜLLER^Jörg", "Müller, jörg", "…, …"),
        ("A.*B(", "A.*B( and AxxB(", "… and AxxB("),
    ],
)
def test_parts_of_names_and_dates_are_secrets(
    stated: str, text: str, left: str
) -> None:
    secrets = sorted(tokens_of(stated), key=len, reverse=True)
    assert scrubbed(text, secrets) == left


@given(st.text(min_size=1, max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_no_stated_value_survives_between_spaces(
    stated: str, before: str, after: str
) -> None:
    secrets = sorted(tokens_of(stated), key=len, reverse=True)
    for secret in secrets:
        left = scrubbed(f"{before} {secret} {after}", [secret])
        assert f" {secret} " not in left
