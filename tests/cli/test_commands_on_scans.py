"""Commands about scans and cohorts, on real files."""

from __future__ import annotations

import shutil
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from scanlearn import __version__
from scanlearn.cli.application import application
from scanlearn.cohort.catalogue import Cohort
from scanlearn.scans.read import read_scan

COMMANDS = sorted(
    command.name or command.callback.__name__.replace("_", "-")
    for command in application.registered_commands
)


def test_the_commands_of_the_contract_are_there():
    assert {
        "demo",
        "sample",
        "info",
        "check",
        "convert",
        "prepare",
        "pretrain",
        "finetune",
        "predict",
        "runs",
        "resume",
        "stop",
        "device",
        "export",
        "export-cohort",
    } <= set(COMMANDS)
    assert len(COMMANDS) == len(set(COMMANDS))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(scanlearn, command):
    answer = scanlearn(command, "--help")
    assert answer.status == 0
    assert f"Example: scanlearn {command}" in answer.out


def test_the_program_runs_as_a_process_of_its_own():
    command = [sys.executable, "-m", "scanlearn", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"napari-scanlearn {__version__}\n"
    assert done.stderr == ""


def test_unknown_commands_and_options_are_wrong_input(scanlearn):
    for arguments in (["no-such-command"], ["info"], ["info", "x", "--no-such"]):
        answer = scanlearn(*arguments)
        assert answer.status == 2
        assert "Traceback" not in answer.err


def test_info_tells_what_is_in_a_folder(scanlearn, tiny_sample):
    answer = scanlearn("info", tiny_sample / "scans", "--json")
    assert answer.status == 0
    entries = {one["path"].split("PHANTOM-")[1][:4]: one for one in answer.document}
    assert sorted(entries) == ["0001", "0002", "0003", "0004"]
    assert {entry["kind"] for entry in entries.values()} == {"dicom", "nifti"}
    for entry in entries.values():
        assert sorted(entry["spacing_mm"]) == [4.0, 4.0, 6.0]
        assert entry["units"] == "HU"
        assert entry["intensity_range"][0] >= -1024
        assert entry["intensity_range"][1] > 200
        assert entry["error"] == ""
    dicom = entries["0001"]
    series = tiny_sample / "scans" / "dicom" / "PHANTOM-0001"
    read = SimpleITK.ReadImage(
        SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(series))
    )
    values = SimpleITK.GetArrayViewFromImage(read)
    assert dicom["intensity_range"] == [values.min(), values.max()]
    assert sorted(dicom["shape"]) == sorted(values.shape)
    assert dicom["files"] == len(list(series.iterdir()))
    assert dicom["modality"] == "CT"


def test_a_volume_of_a_4d_file_is_told_and_chosen(scanlearn, tmp_path):
    voxels = np.random.default_rng(0).integers(0, 99, (4, 5, 6, 3)).astype(np.int16)
    affine = np.array([[0, 0, 2, 5], [-1.5, 0, 0, 6], [0, 3, 0, 7], [0, 0, 0, 1.0]])
    nib.save(nib.Nifti1Image(voxels, affine), tmp_path / "cine.nii.gz")
    [entry] = scanlearn("info", tmp_path, "--json").document
    assert (entry["volumes"], entry["shape"]) == (3, [4, 5, 6, 3])
    assert any("3 volumes" in text for text in entry["warnings"])
    out = tmp_path / "second.nii.gz"
    answer = scanlearn("convert", tmp_path / "cine.nii.gz", out, "--volume", 1)
    assert answer.status == 0
    mine = nib.load(out)
    np.testing.assert_array_equal(np.asarray(mine.dataobj), voxels[..., 1])
    np.testing.assert_allclose(mine.affine, affine, atol=1e-6)
    answer = scanlearn("convert", tmp_path / "cine.nii.gz", out, "--volume", 3)
    assert answer.status == 2
    assert "no volume 3" in answer.err


def test_info_for_people(scanlearn, tiny_sample):
    answer = scanlearn("info", tiny_sample / "scans")
    assert answer.status == 0
    assert answer.out.count("PHANTOM-000") == 4
    assert "mm" in answer.out


def test_check_gives_one_document(scanlearn, tiny_sample):
    answer = scanlearn("check", tiny_sample / "scans", "--json", "--workers", 0)
    assert answer.status == 0
    text = str(answer.document)
    assert all(f"PHANTOM-000{n}" in text for n in (1, 2, 3, 4))
    assert "6.0 mm apart" in text


def test_a_converted_series_agrees_with_another_reader(
    scanlearn, tiny_sample, tmp_path
):
    series = tiny_sample / "scans" / "dicom" / "PHANTOM-0003"
    out = tmp_path / "new" / "scan.nii.gz"
    answer = scanlearn("convert", series, out)
    assert answer.status == 0
    assert answer.out.strip() == str(out)
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(series))
    theirs = SimpleITK.ReadImage(names)
    mine = nib.load(out)
    voxels = np.asarray(mine.dataobj)
    assert voxels.size == theirs.GetNumberOfPixels()
    to_index = np.linalg.inv(mine.affine)
    rng = np.random.default_rng(0)
    for _ in range(400):
        index = [int(rng.integers(n)) for n in theirs.GetSize()]
        x, y, z = theirs.TransformIndexToPhysicalPoint(index)
        at = to_index @ (-x, -y, z, 1.0)
        whole = np.rint(at[:3]).astype(int)
        assert np.abs(at[:3] - whole).max() < 1e-3
        assert voxels[tuple(whole)] == theirs[index]


def test_convert_keeps_voxels_and_geometry_of_nifti(scanlearn, tiny_sample, tmp_path):
    source = tiny_sample / "scans" / "nifti" / "PHANTOM-0004.nii.gz"
    assert scanlearn("convert", source, tmp_path / "again.nii").status == 0
    mine, theirs = nib.load(tmp_path / "again.nii"), nib.load(source)
    assert np.array_equal(np.asarray(mine.dataobj), np.asarray(theirs.dataobj))
    assert np.allclose(mine.affine, theirs.affine)


def test_convert_and_export_as_ome_zarr(scanlearn, tiny_sample, tiny_cohort, tmp_path):
    source = next((tiny_sample / "scans" / "dicom").iterdir())
    made = tmp_path / "one.ome.zarr"
    assert scanlearn("convert", source, made).status == 0
    (told,) = scanlearn("info", made, "--json").document
    original = read_scan(source)
    assert (told["kind"], told["modality"], told["units"]) == ("zarr", "CT", "HU")
    assert told["orientation"] == "SPL"
    assert told["shape"] == list(original.grid.shape)
    assert told["intensity_range"] == [original.voxels.min(), original.voxels.max()]

    # A cohort of the image is a cohort of the series, voxel for voxel.
    for name, path in (("dicom", source), ("zarr", made)):
        prepared = ("prepare", path, tmp_path / name, "--spacing", 4, "--workers", 0)
        assert scanlearn(*prepared).status == 0
    one, two = Cohort(tmp_path / "dicom"), Cohort(tmp_path / "zarr")
    (first,), (second,) = one.keys(), two.keys()
    np.testing.assert_array_equal(one.voxels(first), two.voxels(second))
    again = scanlearn("prepare", made, tmp_path / "zarr", "--json").document
    assert again["kept"] == [second]

    answer = scanlearn("export-cohort", tiny_cohort, tmp_path / "out", "--json")
    listed = answer.document
    cohort = Cohort(tiny_cohort)
    assert len(listed) == len(cohort) == 4
    for key in cohort.keys():  # noqa: SIM118
        scan = read_scan(tmp_path / "out" / f"{key}.ome.zarr")
        np.testing.assert_array_equal(scan.voxels, cohort.voxels(key))
        assert scan.grid.matches(cohort.grid(key), tolerance_mm=1e-9)
        assert scan.acquisition.units == "HU"


def test_prepare_makes_and_extends_a_cohort(scanlearn, tiny_sample, tmp_path):
    scans = tmp_path / "scans"
    scans.mkdir()
    for number in (2, 4):
        name = f"PHANTOM-000{number}.nii.gz"
        shutil.copy(tiny_sample / "scans" / "nifti" / name, scans / name)
        answer = scanlearn(
            *("prepare", scans, tmp_path / "cohort"),
            *("--spacing", 8, "--workers", 0, "--json"),
        )
        assert answer.status == 0
        document = answer.document
        assert len(document["prepared"]) == 1
        assert document["failed"] == []
    assert len(document["kept"]) == 1
    assert document["cohort"] == str(tmp_path / "cohort")
    assert len(Cohort(tmp_path / "cohort").records()) == 2
    for record in Cohort(tmp_path / "cohort").records():
        assert record.spacing_mm == (8.0, 8.0, 8.0)


def test_device_says_what_a_training_would_run_on(scanlearn):
    answer = scanlearn("device", "--json")
    assert answer.status == 0
    assert list(answer.document) == ["device"]
    assert answer.document["device"].startswith(("CPU", "CUDA", "Apple GPU"))


def test_sample_refuses_a_folder_with_files(scanlearn, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    assert "is not empty" in scanlearn("sample", tmp_path).told()
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.fixture
def bad(tmp_path, tiny_sample):
    """Return a folder of inputs that are wrong, each in its own way."""
    folder = tmp_path / "bad"
    (folder / "empty").mkdir(parents=True)
    (folder / "letter.txt").write_text("no image")
    (folder / "letter.nii.gz").write_text("no image")
    whole = tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz"
    (folder / "torn.nii.gz").write_bytes(whole.read_bytes()[:3000])
    series = tiny_sample / "scans" / "dicom" / "PHANTOM-0001"
    (folder / "torn").mkdir()
    slices = sorted(series.iterdir())
    (folder / "torn" / "slice.dcm").write_bytes(slices[0].read_bytes()[:-3000])
    (folder / "headless.dcm").write_bytes(slices[0].read_bytes()[:200])
    return folder


@pytest.mark.parametrize(
    "name",
    [
        "letter.txt",
        "letter.nii.gz",
        "torn.nii.gz",
        "torn",
        "headless.dcm",
        "empty",
        "no",
    ],
)
@pytest.mark.parametrize("command", ["convert", "prepare"])
def test_what_is_no_scan_is_told_in_one_line(scanlearn, bad, tmp_path, command, name):
    out = tmp_path / ("out.nii.gz" if command == "convert" else "cohort")
    extra = ["--workers", "0"] if command == "prepare" else []
    line = scanlearn(command, bad / name, out, *extra).told()
    assert name in line
    assert len(line) < 600
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"bad"}


@pytest.mark.parametrize("command", ["info", "check"])
@pytest.mark.parametrize("name", ["letter.txt", "empty", "no"])
def test_nothing_to_look_at_is_told(scanlearn, bad, command, name):
    assert name in scanlearn(command, bad / name, "--json").told()


def test_info_lists_what_cannot_be_read_beside_what_can(scanlearn, bad, tiny_sample):
    whole = tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz"
    shutil.copy(whole, bad / "good.nii.gz")
    answer = scanlearn("info", bad, "--json")
    assert answer.status == 0
    errors = {entry["path"].split("/")[-1]: entry["error"] for entry in answer.document}
    assert errors["good.nii.gz"] == ""
    assert errors["torn.nii.gz"]
    assert errors["letter.nii.gz"]


def test_a_wrong_suffix_is_told_and_nothing_written(scanlearn, tiny_sample, tmp_path):
    source = tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz"
    assert "out.png" in scanlearn("convert", source, tmp_path / "out.png").told()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_several_scans_names_them(scanlearn, tiny_sample, tmp_path):
    folder = tiny_sample / "scans" / "nifti"
    line = scanlearn("convert", folder, tmp_path / "out.nii.gz").told()
    assert "holds 2 scans" in line
    assert "PHANTOM-0002" in line


def test_uneven_slices_are_refused_until_one_chooses(scanlearn, write_ct, tmp_path):
    heights = np.delete(np.arange(30) * 5.0, [11, 12])
    scan = write_ct(tmp_path / "scans" / "a", "a", heights=heights)
    row = scanlearn("check", scan, "--json").document[0]
    assert row["severity"] == "error"
    assert row["problems"][0]["code"] == "missing"
    assert "--uneven resample" in row["problems"][0]["action"]
    out = tmp_path / "a.nii.gz"
    assert "2 slices are missing" in scanlearn("convert", scan, out).told()
    answer = scanlearn("convert", scan, out, "--uneven", "resample")
    assert answer.status == 0
    assert "interpolated" in answer.err
    assert sorted(nib.load(out).shape) == [30, 66, 66]
    prepare = ("prepare", scan.parent, tmp_path / "cohort", "--workers", 0)
    assert "2 slices are missing" in scanlearn(*prepare).told()
    assert scanlearn(*prepare, "--uneven", "resample").status == 0


def test_scans_are_left_out_and_taken_in_again(scanlearn, write_ct, tmp_path):
    for name in ("a", "b"):
        write_ct(tmp_path / "scans" / name, name)
    table = tmp_path / "exclusions.csv"
    table.write_text("source,reason\nscans/b,metal artefacts\n")
    cohort = tmp_path / "cohort"
    prepare = ("prepare", tmp_path / "scans", cohort, "--spacing", 8, "--workers", 0)
    answer = scanlearn(*prepare, "--exclusions", table, "--json")
    assert answer.status == 0
    ((key, reason),) = answer.document["excluded"].items()
    assert reason == "metal artefacts"
    told = scanlearn("check", cohort, "--json").document
    assert {row["scan"]: row["excluded"] for row in told}[key] == reason
    assert "2 scans used, 0 excluded" in scanlearn("include", cohort, key).out
    answer = scanlearn("exclude", cohort, key, "--reason", "too short")
    assert "1 scans used, 1 excluded" in answer.out
    assert Cohort(cohort).record(key).excluded == "too short"
    assert f"excluded {key}: too short" in scanlearn("check", cohort).out
    assert "no scan P-0" in scanlearn("include", cohort, "P-0").told()
