"""Outside ``private/`` nothing tells who a patient is or where a scan came from."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pydicom
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.plan import patient_identity
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.cohort.preparation.privacy import scrubbed, secrets_of
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
    "StudyInstanceUID": "1.2.826.7731.1",
    "SeriesInstanceUID": "1.2.826.7731.2",
}
FRAGMENTS = ("IDQX", "SURQX", "GIVENQX", "19410607", "ISSUERQX", "CLINICQX")
FRAGMENTS += ("DOCTORQX", "ACCQX", "826.7731", "FOLDERQX", "FILEQX")


@pytest.fixture
def secretive(tmp_path: Path) -> Path:
    """Return a folder whose names and headers all carry marks."""
    folder = tmp_path / "FOLDERQX"
    phantom = make_chest(3, 1, spacing_mm=(8, 5, 5))
    write_dicom_series(folder / "SURQX_GIVENQX", phantom)
    for path in (folder / "SURQX_GIVENQX").iterdir():
        image = pydicom.dcmread(path)
        for name, value in MARKS.items():
            setattr(image, name, value)
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
