"""Folders as they are: links, locked folders, names that are not text, pipes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scanlearn.scans.find import files_under, find_scans


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    path = tmp_path / "store" / "a.nii.gz"
    path.parent.mkdir()
    voxels = np.random.default_rng(0).integers(0, 99, (4, 5, 6)).astype(np.int16)
    nib.save(nib.Nifti1Image(voxels, np.diag([1, 2, 3, 1.0])), path)
    return path


def test_linked_folders_are_followed_once(tmp_path: Path, scan: Path) -> None:
    folder = tmp_path / "in"
    (folder / "own").mkdir(parents=True)
    (folder / "own" / "b.nii.gz").write_bytes(scan.read_bytes())
    (folder / "a-link").symlink_to(folder / "own")  # met anyway
    (folder / "linked").symlink_to(scan.parent)
    (folder / "again").symlink_to(scan.parent)
    (folder / "own" / "circle").symlink_to(folder)
    (folder / "own" / "up").symlink_to(tmp_path)
    found = [path.resolve() for path in files_under(folder)]
    assert sorted(found) == sorted({scan, folder / "own" / "b.nii.gz"})


def test_a_link_to_a_hidden_store_is_followed(tmp_path: Path, scan: Path) -> None:
    folder = tmp_path / "in"
    (folder / ".objects").mkdir(parents=True)
    scan.rename(folder / ".objects" / "a.nii.gz")
    (folder / "patient").symlink_to(folder / ".objects")
    (entry,) = find_scans(folder)
    assert entry.path == folder / "patient" / "a.nii.gz"


@pytest.mark.skipif(sys.platform == "darwin", reason="file systems that refuse it")
@pytest.mark.skipif(os.name != "posix", reason="names of bytes")
def test_names_that_are_no_text_are_told(tmp_path: Path, scan: Path) -> None:
    os.rename(scan, os.fsencode(scan.parent) + b"/K\xf6rper.nii.gz")
    (entry,) = find_scans(scan.parent)
    assert r"K\xf6rper.nii.gz has a name that is not in UTF-8" in entry.error
    done = subprocess.run(
        [sys.executable, "-m", "scanlearn", "info", str(scan.parent)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "Rename it" in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="pipes")
def test_a_pipe_is_no_scan(tmp_path: Path, scan: Path) -> None:
    os.mkfifo(scan.parent / "pipe")
    assert len(find_scans(scan.parent)) == 1


@pytest.mark.skipif(os.name != "posix", reason="rights of POSIX")
def test_what_may_not_be_read_is_told(scan: Path, file_rights: tuple[str, ...]) -> None:
    (scan.parent / "locked").mkdir()
    for name in ("IM0001", "s.dcm", "b.nii"):
        (scan.parent / name).write_bytes(b"\0" * 128 + b"DICM")
        (scan.parent / name).chmod(0)
    (scan.parent / "locked").chmod(0)
    done = subprocess.run(
        [*file_rights, sys.executable, "-m", "scanlearn", "info", scan.parent],
        capture_output=True,
        text=True,
        check=False,
    )
    (scan.parent / "locked").chmod(0o700)
    assert done.returncode == 0, done.stderr
    for name in ("IM0001", "s.dcm", "b.nii"):
        assert f"/{name} cannot be" in done.stdout
    assert done.stdout.count("no permission") == 3
    assert "locked is a folder that may not be entered" in done.stdout
    assert done.stdout.count("cannot be read: ") == 4
