"""Errors of the system are told in one line with exit code 2, whatever raised them."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scanlearn.errors import BadPlace, BadScan, of_the_world
from scanlearn.files import written_beside

POSIX = pytest.mark.skipif(os.name != "posix", reason="limits and rights of POSIX")


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    voxels = rng.integers(0, 500, (24, 26, 28)).astype(np.int16)
    (tmp_path / "scans").mkdir()
    path = tmp_path / "scans" / "a.nii.gz"
    nib.save(nib.Nifti1Image(voxels, np.diag([1.5, 2, 3, 1])), path)
    return path


def scanlearn(*arguments: str | Path, wrap: tuple[str, ...] = (), **more: object):
    return subprocess.run(
        [*wrap, sys.executable, "-m", "scanlearn", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        **more,  # type: ignore[arg-type]
    )


def told(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [x for x in done.stderr.splitlines() if x.startswith("scanlearn: ")]
    return line


def small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


@POSIX
@pytest.mark.parametrize(
    ("command", "left"),
    [
        (("convert", "{scan}", "{out}/b.nii.gz"), "b.nii.gz"),
        (("convert", "{scan}", "{out}/b.ome.zarr"), "b.ome.zarr"),
        (("prepare", "{scan}", "{out}/cohort", "--workers", "0"), "cohort"),
    ],
)
def test_a_full_disk_ends_in_one_line_and_leaves_nothing(
    scan: Path, tmp_path: Path, command: tuple[str, ...], left: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    arguments = [part.format(scan=scan, out=out) for part in command]
    # The measurement of coverage would write to the full disk, too.
    env = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    line = told(scanlearn(*arguments, preexec_fn=small_files, env=env))
    assert "larger than is allowed" in line or "disk is full" in line
    assert not (out / left).exists()
    assert list(out.rglob("*.part.*")) == []


@POSIX
def test_no_right_to_write_names_the_folder(
    scan: Path, tmp_path: Path, file_rights: tuple[str, ...]
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    for arguments in (
        ("convert", scan, locked / "b.nii.gz"),
        ("prepare", scan.parent, locked / "cohort", "--workers", "0"),
    ):
        line = told(scanlearn(*arguments, wrap=file_rights))
        assert str(locked) in line
        assert "no permission" in line
    assert list(locked.iterdir()) == []


def test_names_of_every_length_are_written_or_told(scan: Path, tmp_path: Path) -> None:
    for length in (248, 300):
        out = tmp_path / ("ä" * (length // 2) + ".nii.gz")
        done = scanlearn("convert", scan, out)
        if len(os.fsencode(out.name)) <= 255:
            assert done.returncode == 0, done.stderr
            assert out.exists()
        else:
            assert "name is too long" in told(done)


def test_libraries_that_only_quote_the_system_are_understood() -> None:
    for error in (
        RuntimeError("IoError: No space left on device (os error 28)"),
        OSError("10560 requested and 2016 written"),
    ):
        assert "disk is full" in str(of_the_world(error))
    assert "memory" in str(of_the_world(MemoryError("Unable to allocate 35 TiB")))
    cause = PermissionError(13, "Permission denied", "/data/x")
    wrapped = RuntimeError("while saving")
    wrapped.__cause__ = cause
    assert "/data/x: no permission" in str(of_the_world(wrapped))
    assert of_the_world(KeyError("ours")) is None
    assert isinstance(of_the_world(BadScan("x")), BadScan)
    assert isinstance(of_the_world(OSError(28, "No space left on device")), BadPlace)


def test_what_is_written_beside_is_told_by_its_own_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught, written_beside(tmp_path / "x.nii"):
        pass  # nothing was written that could be renamed
    assert str(of_the_world(caught.value)).startswith(f"{tmp_path}/x.nii: does not")
