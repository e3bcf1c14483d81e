"""DICOM scans: listed from headers, read from pixels."""

from __future__ import annotations

import math
import os
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from scanlearn.errors import BadScan
from scanlearn.scans.dicom.headers import read_headers
from scanlearn.scans.dicom.pixel_data import read_slices
from scanlearn.scans.dicom.remarks import padding_note, turned_upright, units_note
from scanlearn.scans.dicom.series import DicomScan, group_slices
from scanlearn.scans.dicom.slice_header import SliceHeader
from scanlearn.scans.dicom.uneven import fill_evenly
from scanlearn.scans.files.sizes import refuse_too_large
from scanlearn.scans.scan import Acquisition, Problem, Scan, ScanEntry


def dicom_entries(headers: Sequence[SliceHeader]) -> list[ScanEntry]:
    """Return one entry per scan found among slices."""
    scans = group_slices(headers)
    series: dict[str, list[DicomScan]] = defaultdict(list)
    for scan in scans:
        series[_uid_of(scan)].append(scan)
    places = {
        id(scan): place
        for parts in series.values()
        for scan, place in zip(parts, _places(parts), strict=True)
    }
    return [_entry(scan, places[id(scan)]) for scan in scans]


def read_dicom_entry(entry: ScanEntry, *, on_uneven: str = "refuse") -> Scan:
    """Read the scan that an entry stands for."""
    headers = read_headers(entry.files)
    if entry.frames:
        named = {(entry.files[file], frame) for file, frame in entry.frames}
        headers = [h for h in headers if (h.path, h.frame) in named]
    scans = [scan for scan in group_slices(headers) if not scan.error]
    # Numbers of parts count within the files at hand, so they may be needed or not.
    found = scans[0] if len(scans) == 1 else choose(scans, entry.series_uid, entry.path)
    scan = read_dicom_scan(found, on_uneven=on_uneven)
    # What the rest of the series told is known to the entry alone.
    known = {problem.code for problem in scan.problems}
    told = tuple(p for p in entry.problems if p.code not in known)
    problems = (*told, *scan.problems)
    return replace(scan, acquisition=entry.acquisition, problems=problems)


def read_dicom_files(
    files: Sequence[Path], *, series: str = "", on_uneven: str = "refuse"
) -> Scan:
    """Read the one scan that some files hold, or the one named ``series``.

    Raises
    ------
    BadScan
        The files hold no scan or several, they are damaged, or their slices are uneven
        and ``on_uneven`` is ``"refuse"``.
    """
    scans = group_slices(read_headers(files))
    where = files[0] if len(files) == 1 else files[0].parent
    return read_dicom_scan(choose(scans, series, where), on_uneven=on_uneven)


def read_dicom_scan(found: DicomScan, *, on_uneven: str = "refuse") -> Scan:
    """Read the voxels of a scan found by its headers."""
    where = found.slices[0].path
    if found.grid is None:
        raise _refusal(found)
    if found.to_repair and on_uneven == "refuse":
        raise BadScan(
            f"{where.parent}: {'; '.join(p.text for p in found.to_repair)}",
            expected="evenly spaced slices, each once",
            next_step=found.to_repair[0].action,
        )
    refuse_too_large(where, 2 * math.prod(found.grid.shape))
    voxels = read_slices(found.slices)
    problems = [_repaired(p) if p in found.to_repair else p for p in found.problems]
    if found.stack is not None and found.stack.uneven is not None:
        voxels = fill_evenly(voxels, found.stack.places)
    first = found.slices[0]
    if first.is_inverse:
        voxels, note = turned_upright(voxels, found)
        problems.append(note)
    problems += padding_note(voxels, first) + units_note(voxels, found)
    return Scan(
        voxels, found.grid, _acquisition(found), first.series.patient, tuple(problems)
    )


def _acquisition(scan: DicomScan) -> Acquisition:
    first = scan.slices[0]
    about = first.series.acquisition
    words = (about.description, f"volume {scan.label}" if scan.label else "")
    return replace(
        about,
        description=", ".join(filter(None, words)),
        slice_thickness_mm=first.thickness,
        letters=first.letters,
    )


def choose(scans: Sequence[DicomScan], series: str, where: Path) -> DicomScan:
    """Return the scan named ``series``, or the only one that can be read."""
    if series:
        named = [s for s in scans if s.series_uid == series]
        # Of a folder with one part of a series, the part is known without its number.
        named = named or [s for s in scans if _uid_of(s) == series.partition("#")[0]]
        if len(named) != 1:
            raise BadScan(
                f"{where} holds no series {series}",
                expected=f"one of {_listed(scans)}",
                next_step="Choose one of these series",
            )
        return named[0]
    readable = [s for s in scans if not s.error]
    if len(readable) == 1:
        return readable[0]
    if readable:
        raise BadScan(
            f"{where} holds {len(readable)} scans",
            expected="one scan, or the series to read",
            next_step=f"Choose a series: {_listed(readable)}",
        )
    if not scans:
        raise BadScan(
            f"{where} holds DICOM files but no image",
            expected="a DICOM image",
            next_step="Choose a folder or file with the slices of a scan",
        )
    return scans[0]


def _listed(scans: Sequence[DicomScan]) -> str:
    texts = [
        f"{s.series_uid or 'unnamed'} ({_acquisition(s).description or 'no name'}, "
        f"{len(s.slices)} images)"
        for s in scans[:8]
    ]
    return "; ".join(texts) + (" …" if len(scans) > 8 else "")


def _uid_of(scan: DicomScan) -> str:
    """Return the identifier of a scan's series, which its parts share."""
    return scan.series_uid.partition("#")[0]


def _entry(scan: DicomScan, path: Path) -> ScanEntry:
    first = scan.slices[0]
    grid = scan.grid
    files = scan.files
    return ScanEntry(
        path=path,
        kind="dicom",
        files=files,
        acquisition=_acquisition(scan),
        shape=grid.shape if grid else (len(scan.slices), first.rows, first.columns),
        spacing_mm=grid.spacing_mm if grid else (),
        orientation=grid.orientation if grid and scan.stack else "",
        patient=first.series.patient,
        series_uid=scan.series_uid,
        problems=scan.problems,
        error=str(_refusal(scan)) if scan.error else "",
        frames=_frames(scan),
    )


def _frames(scan: DicomScan) -> tuple[tuple[int, int], ...]:
    slices = (*scan.slices, *scan.surplus)
    if all(header.frames == 1 for header in slices):
        return ()
    numbers = {file: number for number, file in enumerate(scan.files)}
    return tuple((numbers[header.path], header.frame) for header in slices)


def _places(series: Sequence[DicomScan]) -> list[Path]:
    """Return where each scan of a series is the one with its number.

    Where a part lies beside others, that is the place of the whole series: the numbers
    of parts count there.
    """
    own = [_common_path(scan.files) for scan in series]
    if len(series) == 1:
        return own
    files = Counter(file for scan in series for file in scan.files)
    folders = Counter(f for scan in series for f in {p.parent for p in scan.files})
    whole = _common_path(list(files))
    return [
        whole if _is_shared(place, scan, files, folders) else place
        for place, scan in zip(own, series, strict=True)
    ]


def _is_shared(
    place: Path, scan: DicomScan, files: Counter[Path], folders: Counter[Path]
) -> bool:
    """Whether a place holds something of other scans of the series."""
    if len(scan.files) == 1:
        return files[place] > 1
    below = {file.parent for file in scan.files}
    return any(
        count > (folder in below)
        for folder, count in folders.items()
        if folder.is_relative_to(place)
    )


def _refusal(scan: DicomScan) -> BadScan:
    path = scan.slices[0].path
    where = path if len(scan.files) == 1 else path.parent
    return BadScan(
        f"{where}: {scan.error}",
        expected="a volume or a radiograph",
        next_step=scan.next_step,
    )


def _common_path(files: Sequence[Path]) -> Path:
    if len(set(files)) == 1:
        return files[0]
    return Path(os.path.commonpath([file.parent for file in files]))


def _repaired(problem: Problem) -> Problem:
    if problem.code == "duplicate_slices":
        text = f"{problem.text}; the first of each, by file name, was kept"
        return Problem(problem.code, "warning", text, "Look at the slices there")
    text = f"{problem.text}; slices were interpolated onto even distances"
    return Problem(
        problem.code, "warning", text, "Look at the slices between before trusting them"
    )
