"""What scans lie in a file or folder, told from headers alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from scanlearn.errors import BadScan
from scanlearn.scans.array import array_entry
from scanlearn.scans.dicom import dicom_entries
from scanlearn.scans.dicom_headers import HeaderReader, looks_like_dicom
from scanlearn.scans.dicom_slice import SliceHeader
from scanlearn.scans.formats import FORMATS, Kind, format_of
from scanlearn.scans.itk import itk_entry
from scanlearn.scans.ngff import is_ome_image
from scanlearn.scans.nifti import nifti_entry
from scanlearn.scans.ome_zarr import ome_zarr_entry
from scanlearn.scans.picture import picture_entries
from scanlearn.scans.scan import Acquisition, ScanEntry

Progress = Callable[[int, int], None]

_ENTRIES_OF: dict[Kind, Callable[[Path], list[ScanEntry]]] = {
    "nifti": lambda path: [nifti_entry(path)],
    "itk": lambda path: [itk_entry(path)],
    "picture": picture_entries,
    "zarr": lambda path: [ome_zarr_entry(path)],
    "array": lambda path: [array_entry(path)],
}


def find_scans(path: Path, *, progress: Progress | None = None) -> list[ScanEntry]:
    """Return one entry per scan in a file or folder, nested folders included.

    Only headers are read. What looks like a scan but cannot be read becomes an entry
    with ``error`` set; files that are no images are passed over, and so are arrays
    (``.npy``) in folders: they are scans only where they are named.

    Parameters
    ----------
    path
        A file, a folder, or the DICOMDIR of one.
    progress
        Called with (files done, files in all); what it raises ends the search.

    Raises
    ------
    BadScan
        The path does not exist, the file is no image, or the folder holds no scan.
    """
    headers, others = survey(path, progress=progress)
    return dicom_entries(headers) + others


def survey(
    path: Path, *, progress: Progress | None = None
) -> tuple[list[SliceHeader], list[ScanEntry]]:
    """Return the DICOM slices in a file or folder, and entries for all else.

    Parameters, errors and progress are those of :func:`find_scans`.
    """
    path = Path(path)
    if path.name.upper() == "DICOMDIR" and path.is_file():
        path = path.parent
    if not path.exists():
        raise BadScan(f"{path} does not exist", next_step="Check the path")
    single = path.is_file() or is_ome_image(path)
    files = [path] if single else list(files_under(path))
    entries: list[ScanEntry] = []
    headers: list[SliceHeader] = []
    reader = HeaderReader()
    for number, file in enumerate(files):
        kind = kind_of(file)
        if kind == "dicom":
            headers += _headers(reader, file, entries)
        elif kind is not None and (single or not _is_scan_only_where_named(file)):
            entries += _entries(file, kind)
        if progress is not None:
            progress(number + 1, len(files))
    if not headers and not entries:
        raise _nothing(path, files)
    return headers, entries


def kind_of(path: Path) -> Kind | None:
    """Return what kind of scan a file may hold, from its name or its first bytes.

    A folder has a kind only where it is one image, as in OME-Zarr.
    """
    if path.is_dir():
        return "zarr" if is_ome_image(path) else None
    if path.name.lower() == "dicomdir":
        return None
    known = format_of(path)
    if known is not None:
        return known.kind
    try:
        with path.open("rb") as file:
            return "dicom" if looks_like_dicom(file.read(132)) else None
    except OSError:
        # It may be a slice: its reader says why it cannot be opened.
        return "dicom" if path.is_file() else None


def files_under(folder: Path) -> Iterator[Path]:
    """Yield the files and OME-Zarr images below a folder in order, hidden ones not."""
    for root, folders, names in os.walk(folder):
        if is_ome_image(Path(root)):
            folders.clear()
            yield Path(root)
            continue
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(root, name)


def _is_scan_only_where_named(file: Path) -> bool:
    known = format_of(file)
    return known is not None and known.alone


def _headers(
    reader: HeaderReader, file: Path, entries: list[ScanEntry]
) -> list[SliceHeader]:
    try:
        return reader.read(file)
    except BadScan as error:
        entries.append(_failed(file, "dicom", error))
        return []


def _entries(file: Path, kind: Kind) -> list[ScanEntry]:
    try:
        return _ENTRIES_OF[kind](file)
    except BadScan as error:
        return [_failed(file, kind, error)]


def _failed(file: Path, kind: Kind, error: BadScan) -> ScanEntry:
    return ScanEntry(
        path=file,
        kind=kind,
        files=(file,),
        acquisition=Acquisition(),
        shape=(),
        spacing_mm=(),
        orientation="",
        patient="",
        error=str(error),
    )


def _nothing(path: Path, files: list[Path]) -> BadScan:
    everywhere = ", ".join(known.name for known in FORMATS if not known.alone)
    named = ", ".join(known.name for known in FORMATS if known.alone)
    expected = f"{everywhere}; {named} by its own path or in a table"
    if path.is_file():
        return BadScan(
            f"{path} is no image",
            expected=expected,
            next_step="Choose a scan, or the folder that holds it",
        )
    what = f"none of its {len(files)} files is a scan" if files else "it is empty"
    return BadScan(
        f"{path} holds no scan: {what}",
        expected=expected,
        next_step="Choose the folder that holds the scans",
    )
