"""Files that break off, against unpacking them to the end."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.errors import BadScan
from scanlearn.scans.files.cut_short import refuse_cut_short


def packed(folder: Path) -> Path:
    voxels = np.random.default_rng(0).integers(0, 4000, (20, 20, 12), np.int16)
    path = folder / "a.nii.gz"
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), path)
    return path


@settings(max_examples=30, deadline=None)
@given(kept=st.floats(0.05, 0.999))
def test_a_file_cut_anywhere_is_refused(
    tmp_path_factory: pytest.TempPathFactory, kept: float
) -> None:
    path = packed(tmp_path_factory.mktemp("cut"))
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(BadScan, match="cut short"):
        refuse_cut_short(path)


def test_whole_files_pass_also_in_parts_and_with_more_at_their_end(
    tmp_path: Path,
) -> None:
    path = packed(tmp_path)
    refuse_cut_short(path)
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:999]) + gzip.compress(content[999:]))
    refuse_cut_short(path)  # as block gzip writes it
    path.write_bytes(gzip.compress(content + b"more"))
    refuse_cut_short(path)


def test_a_damaged_byte_count_alone_is_told(tmp_path: Path) -> None:
    path = packed(tmp_path)
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(BadScan, match="damaged"):
        refuse_cut_short(path)
