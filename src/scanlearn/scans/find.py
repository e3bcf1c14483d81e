"""What scans lie in a file or folder, told from headers alone."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from scanlearn.errors import BadScan, of_the_world
from scanlearn.scans.dicom.headers import HeaderReader, looks_like_dicom
from scanlearn.scans.dicom.reader import dicom_entries
from scanlearn.scans.dicom.slice_header import SliceHeader
from scanlearn.scans.files.array import array_entry
from scanlearn.scans.files.itk import itk_entry
from scanlearn.scans.files.ngff import is_ome_image
from scanlearn.scans.files.nifti import nifti_entry
from scanlearn.scans.files.ome_zarr import ome_zarr_entry
from scanlearn.scans.files.picture import picture_entries
from scanlearn.scans.files.signatures import cause_of
from scanlearn.scans.formats import FORMATS, Kind, format_of
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
        try:
            kind = _looked_at(file)
        except BadScan as error:
            entries.append(_failed(file, "dicom", error))
            continue
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
    try:
        return _kind(path)
    except OSError:
        return None


def _kind(path: Path) -> Kind | None:
    if path.is_dir():
        return "zarr" if is_ome_image(path) else None
    if path.name.lower() == "dicomdir":
        return None
    known = format_of(path)
    if known is not None:
        return known.kind
    if path.exists() and not path.is_file():
        return None  # a pipe or a device: reading it would wait for ever
    try:
        with path.open("rb") as file:
            return "dicom" if looks_like_dicom(file.read(132)) else None
    except OSError:
        # It may be a slice: its reader says why it cannot be opened.
        return "dicom" if path.is_file() else None


def files_under(folder: Path) -> Iterator[Path]:
    """Yield the files and OME-Zarr images below a folder in order, hidden ones not.

    Links to folders are followed, to each folder once. A folder that may not be entered
    is yielded itself.
    """
    locked: list[Path] = []
    top = folder.resolve()
    seen = {top}
    for root, folders, names in os.walk(
        folder,
        followlinks=True,
        onerror=lambda error: locked.append(Path(os.fsdecode(error.filename))),
    ):
        yield from _taken(locked)
        if is_ome_image(Path(root)):
            folders.clear()
            yield Path(root)
            continue
        folders[:] = [
            name
            for name in sorted(folders)
            if not name.startswith(".") and _is_new(Path(root, name), top, seen)
        ]
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(root, name)
    yield from _taken(locked)


def _taken(paths: list[Path]) -> Iterator[Path]:
    while paths:
        yield paths.pop(0)


def _is_new(folder: Path, root: Path, seen: set[Path]) -> bool:
    """Whether a folder, or what a link leads to, is not met anyway."""
    real = folder.resolve()
    if real in seen:
        return False
    if folder.is_symlink() and real.is_relative_to(root):
        inside = real.relative_to(root).parts
        if not any(part.startswith(".") for part in inside):
            return False
    seen.add(real)
    return True


def _looked_at(file: Path) -> Kind | None:
    """Return what kind of scan a file may hold.

    Raises
    ------
    BadScan
        Its name or the right to read it keeps us from telling.
    """
    try:
        str(file).encode()
    except UnicodeEncodeError:
        name = os.fsencode(file).decode("utf-8", "backslashreplace")
        raise BadScan(
            f"{name} has a name that is not in UTF-8",
            next_step="Rename it, or copy it with a program that converts names",
        ) from None
    try:
        kind = _kind(file)
    except OSError as error:
        why = of_the_world(error) or error
        raise BadScan(f"{file} cannot be looked at: {why}") from error
    if kind is None and file.is_dir():  # one that its walk could not go into
        raise BadScan(
            f"{file} is a folder that may not be entered",
            next_step="Ask for the right to read it, or take it out",
        )
    return kind


def _is_scan_only_where_named(file: Path) -> bool:
    known = format_of(file)
    return known is not None and known.alone


def _headers(
    reader: HeaderReader, file: Path, entries: list[ScanEntry]
) -> list[SliceHeader]:
    try:
        return reader.read(file)
    except BadScan as error:
        cause, next_step = cause_of(file)
        if cause:
            what = f"{file} cannot be read as DICOM: {cause}"
            error = BadScan(what, next_step=next_step or error.next_step)
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
        cause, next_step = cause_of(path)
        return BadScan(
            f"{path} is no image{cause and f': {cause}'}",
            expected=expected,
            next_step=next_step or "Choose a scan, or the folder that holds it",
        )
    what = f"none of its {len(files)} files is a scan" if files else "it is empty"
    return BadScan(
        f"{path} holds no scan: {what}",
        expected=expected,
        next_step="Choose the folder that holds the scans",
    )
