"""One table of file formats: readers, folders of masks and the pages follow it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK
from PIL import Image

from scanlearn.cohort.labels.label_files import may_be_labels
from scanlearn.errors import BadScan
from scanlearn.scans.files.ome_zarr import write_ome_zarr
from scanlearn.scans.find import find_scans, kind_of
from scanlearn.scans.formats import FORMATS, TABLE_ENDINGS, Format, format_of, stem_of
from scanlearn.scans.labels.read_labels import read_label_map
from scanlearn.scans.read import read_scan

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "scanlearn"

MASK = np.zeros((6, 7, 8), np.uint8)
MASK[2:4, 3:6, 1:5] = 1

ENDINGS = [ending for known in FORMATS for ending in known.endings]
MASK_ENDINGS = [
    ending
    for known in FORMATS
    if known.label_map and known.kind not in ("dicom", "array")
    for ending in known.endings
]


def write(path: Path, *, mask: bool = True) -> None:
    """Write a file of the format that its name tells."""
    kind = format_of(path).kind
    voxels = MASK if mask else (MASK * 900.0 + np.arange(8.0)).astype(np.float32)
    if kind == "nifti":
        make = nib.Nifti1Pair if path.suffix == ".hdr" else nib.Nifti1Image
        nib.save(make(voxels.T, np.diag([1, 2, 3, 1.0])), path)
    elif kind == "itk":
        SimpleITK.WriteImage(SimpleITK.GetImageFromArray(voxels), str(path))
    elif kind == "picture":
        Image.fromarray(MASK[3] * 200).save(path)
    elif kind == "array":
        np.save(path, voxels)
    elif kind == "zarr":
        source = path.with_name("source.nii")
        write(source, mask=mask)
        write_ome_zarr(path, read_scan(source))
        source.unlink()
    else:
        grid = SimpleITK.GetImageFromArray(MASK.astype(np.int16))
        SimpleITK.WriteImage(grid[:, :, 3], str(path.with_name("slice.dcm")))
        path.with_name("slice.dcm").rename(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_is_read_also_in_capitals(tmp_path: Path, ending: str) -> None:
    write(tmp_path / f"a{ending}", mask=False)
    (known,) = [one for one in FORMATS if ending in one.endings]
    assert kind_of(tmp_path / f"a{ending}") == known.kind
    assert read_scan(tmp_path / f"a{ending}").voxels.size > 1
    if known.alone:
        with pytest.raises(BadScan, match="holds no scan"):
            find_scans(tmp_path)
    else:
        (entry,) = find_scans(tmp_path)
        assert (entry.kind, entry.error) == (known.kind, "")
    if ending in (".hdr", ".mhd", ".nhdr", ".ome.zarr"):
        return  # their data files are named inside, or they are folders
    (tmp_path / f"a{ending}").rename(tmp_path / f"A{ending.upper()}")
    assert read_scan(tmp_path / f"A{ending.upper()}").voxels.size > 1


@pytest.mark.parametrize("ending", MASK_ENDINGS)
def test_every_format_of_label_maps_is_taken_and_read(
    tmp_path: Path, ending: str
) -> None:
    write(tmp_path / f"a{ending}")
    assert may_be_labels(tmp_path / f"a{ending}")
    labels, _ = read_label_map(tmp_path / f"a{ending}")
    assert sorted(labels.shape) == sorted(MASK.shape)
    assert int(labels.sum()) == int(MASK.sum())


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("P-1.5mm.nii.gz", "P-1.5mm"),
        ("A.NII", "A"),
        ("a.img", "a"),
        ("a.ome.zarr", "a"),
        ("a.b.DICOM", "a.b"),
        ("1.2.840.1", "1.2.840.1"),
    ],
)
def test_stems(name: str, stem: str) -> None:
    assert stem_of(Path("folder") / name) == stem


def test_no_other_module_lists_endings() -> None:
    known = {*ENDINGS, *TABLE_ENDINGS}
    for path in SOURCE.rglob("*.py"):
        if path.name == "formats.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            texts = []
            if isinstance(node, ast.Tuple | ast.List | ast.Set):
                texts = [e.value for e in node.elts if isinstance(e, ast.Constant)]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts = re.findall(r"\*(\.[\w.]+)", node.value)
            assert len(known.intersection(texts)) < 2, (path, node.lineno)


def test_the_page_shows_the_table() -> None:
    page = (ROOT / "docs" / "cohorts.md").read_text(encoding="utf-8")
    shown = page.split("<!-- formats: begin -->\n")[1].split("<!-- formats: end -->")[0]
    assert shown == "\n".join([*_HEAD, *map(_row, FORMATS), ""])


_HEAD = (
    "| format | names end in | masks | found in folders | dialogs | napari |",
    "|---|---|---|---|---|---|",
)


def _row(known: Format) -> str:
    marks = (
        known.label_map,
        not known.alone,
        known.in_dialogs,
        known.in_napari,
    )
    endings = ", ".join(f"`{ending}`" for ending in known.endings)
    told = " | ".join("yes" if mark else "no" for mark in marks)
    return f"| {known.name} | {endings} | {told} |"
