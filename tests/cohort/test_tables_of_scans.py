"""A table names volumes, radiographs and small patches, and whose they are."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from scanlearn.cohort.tables import entries_of_table
from scanlearn.errors import BadLabels
from scanlearn.scans.read import read_scan


@pytest.fixture
def scans(tmp_path):
    """Return a folder with a volume, a radiograph and a small patch."""
    volume = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    nib.save(nib.Nifti1Image(volume, np.diag([1, 2, 3, 1])), tmp_path / "ct.nii.gz")
    Image.fromarray(np.full((9, 8), 7, np.uint16)).save(tmp_path / "chest.png")
    Image.fromarray(np.full((31, 31), -900, np.int32)).save(tmp_path / "patch.tif")
    return tmp_path


def test_scans_of_every_kind_are_named_once_with_their_patient(scans):
    table = scans / "table.csv"
    table.write_text(
        "path,label,patient,split\n"
        "ct.nii.gz,emphysema,007,train\n"
        "ct.nii.gz,fibrosis,007,train\n"
        "chest.png,normal,,val\n"
        "patch.tif,normal,9,test\n"
    )
    entries = entries_of_table(table)
    assert [(e.path.name, e.patient) for e in entries] == [
        ("ct.nii.gz", "007"),
        ("chest.png", "chest"),
        ("patch.tif", "9"),
    ]
    shapes = [read_scan(entry).voxels.shape for entry in entries]
    assert shapes == [(3, 4, 5), (1, 9, 8), (1, 31, 31)]
    assert (read_scan(entries[2]).voxels == -900).all()


def test_a_dicom_folder_of_the_sample_is_named_by_its_folder(tiny_sample, tmp_path):
    series = next((tiny_sample / "scans").rglob("*.dcm")).parent
    table = tmp_path / "table.csv"
    table.write_text(f"path,label,patient\n{series},1,someone\n")
    [entry] = entries_of_table(table)
    assert (entry.kind, entry.patient) == ("dicom", "someone")
    assert read_scan(entry).voxels.shape == entry.shape


def test_one_scan_of_two_patients_is_refused(scans):
    table = scans / "table.csv"
    table.write_text("path,patient\nct.nii.gz,1\nct.nii.gz,2\n")
    with pytest.raises(BadLabels, match=r"gives ct\.nii\.gz to two patients"):
        entries_of_table(table)
