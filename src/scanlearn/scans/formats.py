"""Every file format of scans and label maps: the one place that knows their endings.

Readers, searches, dialogs, napari's manifest and the documentation follow this table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

#: Which reader takes a file; :mod:`scanlearn.scans.read` has one for each.
Kind = Literal["dicom", "nifti", "itk", "picture", "zarr", "array"]


@dataclass(frozen=True)
class Format:
    """A file format.

    Parameters
    ----------
    name
        As people call it.
    kind
        Its reader.
    endings
        Of file names, in lower case with their dot.
    label_map
        Whether it may hold a label map.
    alone
        Whether it counts as a scan only where it is named, not wherever it lies.
    in_dialogs
        Whether dialogs offer it.
    in_napari
        Whether napari gives dropped files of this format to our reader.
    """

    name: str
    kind: Kind
    endings: tuple[str, ...]
    label_map: bool = False
    alone: bool = False
    in_dialogs: bool = True
    in_napari: bool = True

    def has(self, path: Path) -> bool:
        """Whether the name of a file ends like those of this format."""
        return path.name.lower().endswith(self.endings)


NIFTI = Format("NIfTI", "nifti", (".nii.gz", ".nii"), label_map=True)
NRRD = Format("NRRD", "itk", (".nrrd", ".nhdr"), label_map=True)
# A folder for file systems, so file dialogs cannot offer it.
ZARR = Format(
    "OME-Zarr", "zarr", (".ome.zarr", ".zarr"), label_map=True, in_dialogs=False
)

FORMATS = (
    # Files of any other name are DICOM where their first bytes say so.
    Format("DICOM", "dicom", (".dcm", ".dicom", ".ima"), label_map=True),
    NIFTI,
    Format("NIfTI pair", "nifti", (".hdr",), label_map=True),
    NRRD,
    Format("MetaImage", "itk", (".mha", ".mhd"), label_map=True),
    ZARR,
    # napari opens pictures and arrays itself: as pictures, which they mostly are.
    Format("PNG", "picture", (".png",), in_napari=False),
    Format("JPEG", "picture", (".jpg", ".jpeg"), in_napari=False),
    Format("TIFF", "picture", (".tif", ".tiff"), in_napari=False),
    Format("NumPy array", "array", (".npy",), True, alone=True, in_napari=False),
)

#: Tables of scans and of what is known of them.
TABLE_ENDINGS = (".csv", ".tsv", ".txt")

#: Files that hold the voxels of a header beside them: no scans of their own.
_DATA_ENDINGS = (".img",)


def format_of(path: Path) -> Format | None:
    """Return the format that a name tells; None for any other name."""
    return next((known for known in FORMATS if known.has(path)), None)


def may_be_label_map(kind: Kind) -> bool:
    """Whether a reader's files may be label maps."""
    return any(known.label_map for known in FORMATS if known.kind == kind)


def is_table(path: Path) -> bool:
    """Whether a file is named like a table."""
    return path.name.lower().endswith(TABLE_ENDINGS)


def stem_of(path: Path) -> str:
    """Return a file's name without the endings of image files; a folder's name."""
    known = [*_DATA_ENDINGS, *(end for one in FORMATS for end in one.endings)]
    found = [ending for ending in known if path.name.lower().endswith(ending)]
    return path.name[: -len(max(found, key=len))] if found else path.name


def patterns(wanted: Callable[[Format], bool]) -> list[str]:
    """Return the patterns of file names, such as ``"*.nii"``, of some formats."""
    return [f"*{end}" for known in FORMATS if wanted(known) for end in known.endings]
