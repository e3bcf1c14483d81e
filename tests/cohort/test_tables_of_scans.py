"""A table names volumes, radiographs and small patches, and whose they are."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from PIL import Image

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.plan import patient_identity
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.cohort.preparation.scan_tables import entries_of_table
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadLabels, BadScan
from scanlearn.scans.read import read_scan
from scanlearn.tasks.shared.label_maps import collect_labels


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
    assert [(e.path.name, patient_identity(e)) for e in entries] == [
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
    assert (entry.kind, entry.identity) == ("dicom", "someone")
    assert read_scan(entry).voxels.shape == entry.shape


def test_one_scan_of_two_patients_is_refused(scans):
    table = scans / "table.csv"
    table.write_text("path,patient\nct.nii.gz,1\nct.nii.gz,2\n")
    with pytest.raises(BadLabels, match=r"gives ct\.nii\.gz to two patients"):
        entries_of_table(table)


def test_a_volume_of_a_4d_file_is_chosen_by_its_table(tmp_path):
    rng = np.random.default_rng(0)
    values = rng.normal(100, 20, (12, 13, 14, 3)).astype(np.float32)
    nib.save(nib.Nifti1Image(values, np.diag([3.0, 3.0, 3.0, 1.0])), tmp_path / "f.nii")
    table = tmp_path / "scans.csv"
    nib.save(nib.Nifti1Image(values[..., 0], np.eye(4)), tmp_path / "3d.nii")
    table.write_text("path,volume,index\nf.nii,2,9\nf.nii,0,9\n3d.nii,0.5,9\n")
    *entries, other = entries_of_table(table)
    assert other.volume is None
    for entry, volume in zip(entries, (2, 0), strict=True):
        found = read_scan(entry)
        assert not [p for p in (*entry.problems, *found.problems) if p.code == "4d"]
        np.testing.assert_array_equal(found.voxels, values[..., volume])
    table.write_text("path,volume\nf.nii,2\nf.nii,0\n")
    report = prepare(table, tmp_path / "cohort", PrepareConfig(workers=0))
    assert len(report.prepared) == 2
    volumes = {one.volume for one in Cohort(tmp_path / "cohort").sources().values()}
    assert volumes == {"0", "2"}
    table.write_text("path,volume\nf.nii,3\n")
    with pytest.raises(BadScan, match="from 0 to 2"):
        prepare(table, tmp_path / "other", PrepareConfig(workers=0))


def test_a_lone_mask_is_named_where_nothing_is_prepared(tmp_path):
    mask = np.zeros((20, 20, 20), np.uint8)
    mask[4:9, 4:9, 4:9] = 1
    nib.save(nib.Nifti1Image(mask, np.eye(4)), tmp_path / "organ.nii.gz")
    with pytest.raises(BadScan, match=r"organ\.nii\.gz looks like a label map"):
        prepare(tmp_path, tmp_path / "cohort", PrepareConfig(workers=0))


def test_arrays_are_read_with_the_spacing_and_index_of_their_rows(tmp_path):
    volume = np.arange(-30, 30, dtype=np.int16).reshape(3, 4, 5)
    stack = np.arange(-50, 50, dtype=np.float32).reshape(4, 5, 5)
    np.save(tmp_path / "ct.npy", volume)
    np.save(tmp_path / "stack.npy", stack)
    table = tmp_path / "table.csv"
    table.write_text(
        "path,index,label,patient,spacing_z,spacing_y,spacing_x\n"
        "ct.npy,,a,1,3,0.7,0.8\n"
        "stack.npy,2,a,2,1,0.5,0.5\n"
        "stack.npy,0,b,3,,,\n"
        "stack.npy,2,c,2,1,0.5,0.5\n"
    )
    entries = entries_of_table(table)
    assert [(e.identity, e.volume) for e in entries] == [
        ("1", None),
        ("2", 2),
        ("3", 0),
    ]
    whole, first, second = map(read_scan, entries)
    assert whole.grid.spacing_mm == (3, 0.7, 0.8)
    np.testing.assert_array_equal(whole.voxels, volume)
    np.testing.assert_array_equal(first.voxels[0], stack[2])
    np.testing.assert_array_equal(second.voxels[0], stack[0])
    assert first.grid.spacing_mm[1:] == (0.5, 0.5)
    assert [len(scan.problems) for scan in (whole, first, second)] == [0, 0, 1]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("path,index\nct.npy,1.5\n", r"index 1\.5"),
        ("path,index\nct.npy,-1\n", "index -1"),
        ("path,spacing\nct.npy,0\n", "spacing is 0"),
        ("path,spacing\nct.npy,1\nct.npy,2\n", "two spacings"),
        ("path,spacing_z,spacing_y,spacing_x\nct.npy,1,,\n", "in part"),
    ],
)
def test_impossible_places_of_arrays_are_refused(tmp_path, text, found):
    np.save(tmp_path / "ct.npy", np.zeros((3, 4, 5)))
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(BadLabels, match=found):
        entries_of_table(tmp_path / "table.csv")


def test_arrays_of_a_table_become_a_cohort_with_labels(tmp_path, tiny_sample):
    source = sorted((tiny_sample / "scans" / "nifti").iterdir())[0]
    straight = read_scan(source).canonical()
    np.save(tmp_path / "ct.npy", straight.voxels)
    np.save(tmp_path / "mask.npy", straight.voxels < -700)
    patches = np.full((2, 31, 31), -900.0) + np.arange(31)
    np.save(tmp_path / "patches.npy", patches)
    table = tmp_path / "table.csv"
    table.write_text(
        "path,index,patient,spacing_z,spacing_y,spacing_x\nct.npy,,1,{},{},{}\n".format(
            *straight.grid.spacing_mm
        )
        + "patches.npy,0,2,1,1,1\npatches.npy,1,3,1,1,1\n"
    )
    config = PrepareConfig(spacing_mm=4.0, workers=0)
    report = prepare(table, tmp_path / "cohort", config)
    assert not report.failed
    cohort = Cohort(tmp_path / "cohort")
    volume = next(record for record in cohort.records() if not record.is_radiograph)
    assert volume.spacing_mm == (4, 4, 4)
    assert volume.lung_volume_ml > 1000
    small = [record for record in cohort.records() if record.is_radiograph]
    assert [record.intensity.units for record in small] == ["HU", "HU"]
    for record in small:  # neither stretched nor scaled
        np.testing.assert_array_equal(cohort.voxels(record.key)[0], patches[0])

    (tmp_path / "labels.csv").write_text("path,mask\nct.npy,mask.npy\n")
    [item] = collect_labels(tmp_path / "labels.csv", cohort).items
    dark = cohort.voxels(item.scan)[item.read() == 1]
    assert np.median(dark) < -700
