"""DICOM scans: listed from headers, read from pixels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadScan
from scanlearn.scans.dicom_headers import SliceHeader, read_headers
from scanlearn.scans.dicom_pixels import read_slices
from scanlearn.scans.dicom_series import DicomScan, group_slices
from scanlearn.scans.scan import Acquisition, Problem, Scan, ScanEntry
from scanlearn.scans.uneven import fill_evenly


def dicom_entries(headers: Sequence[SliceHeader]) -> list[ScanEntry]:
    """Return one entry per scan found among slices."""
    return [_entry(scan) for scan in group_slices(headers)]


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
    voxels = read_slices(found.slices)
    problems = [_repaired(p) if p in found.to_repair else p for p in found.problems]
    if found.stack is not None and found.stack.uneven is not None:
        voxels = fill_evenly(voxels, found.stack.places)
    first = found.slices[0]
    if first.photometric == "MONOCHROME1":
        voxels, note = _monochrome1(voxels, found)
        problems.append(note)
    problems += _padding_note(voxels, first) + _units_note(found)
    return Scan(
        voxels, found.grid, _acquisition(first), first.series.patient, tuple(problems)
    )


def _acquisition(first: SliceHeader) -> Acquisition:
    return replace(
        first.series.acquisition,
        slice_thickness_mm=first.thickness,
        letters=first.letters,
    )


def choose(scans: Sequence[DicomScan], series: str, where: Path) -> DicomScan:
    """Return the scan named ``series``, or the only one that can be read."""
    if series:
        named = [s for s in scans if s.series_uid == series]
        if not named:
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
        f"{s.series_uid} ({s.slices[0].series.acquisition.description or 'no name'}, "
        f"{len(s.slices)} images)"
        for s in scans[:8]
    ]
    return "; ".join(texts) + (" …" if len(scans) > 8 else "")


def _entry(scan: DicomScan) -> ScanEntry:
    first = scan.slices[0]
    grid = scan.grid
    files = scan.files
    return ScanEntry(
        path=files[0] if len(files) == 1 else _common_folder(files),
        kind="dicom",
        files=files,
        acquisition=_acquisition(first),
        shape=grid.shape if grid else (len(scan.slices), first.rows, first.columns),
        spacing_mm=grid.spacing_mm if grid else (),
        orientation=grid.orientation if grid and scan.stack else "",
        patient=first.series.patient,
        series_uid=scan.series_uid,
        problems=scan.problems,
        error=str(_refusal(scan)) if scan.error else "",
    )


def _refusal(scan: DicomScan) -> BadScan:
    path = scan.slices[0].path
    where = path if len(scan.files) == 1 else path.parent
    return BadScan(
        f"{where}: {scan.error}",
        expected="a volume or a radiograph",
        next_step=scan.next_step,
    )


def _common_folder(files: Sequence[Path]) -> Path:
    return Path(os.path.commonpath([file.parent for file in files]))


def _repaired(problem: Problem) -> Problem:
    if problem.code == "duplicate_slices":
        text = f"{problem.text}; the first of each, by file name, was kept"
        return Problem(problem.code, "warning", text, "Look at the slices there")
    text = f"{problem.text}; slices were interpolated onto even distances"
    return Problem(
        problem.code, "warning", text, "Look at the slices between before trusting them"
    )


def _monochrome1(
    voxels: NDArray[np.generic], found: DicomScan
) -> tuple[NDArray[np.generic], Problem]:
    """Turn a radiograph whose low values are white; leave a volume's values alone."""
    if not found.is_picture:
        text = "stored for inverted display (MONOCHROME1); values were kept"
        return voxels, Problem("monochrome1", "note", text)
    header = found.slices[0]
    low = -(1 << (header.bits_stored - 1)) if header.signed else 0
    high = (1 << (header.bits_stored - int(header.signed))) - 1
    ends = (low + high) * header.slope + 2 * header.intercept
    turned = np.float64(ends) - voxels.astype(np.float64)
    text = "stored inverted (MONOCHROME1); turned so that dense is bright"
    note = Problem("monochrome1", "note", text)
    info = np.iinfo(np.int16)
    if (
        voxels.dtype == np.int16
        and info.min <= turned.min() <= turned.max() <= info.max
    ):
        return turned.astype(np.int16), note
    return turned.astype(np.float32), note


def _units_note(found: DicomScan) -> list[Problem]:
    acquisition = found.slices[0].series.acquisition
    if acquisition.modality != "CT" or acquisition.units == "HU":
        return []
    text = "a CT whose values are not said to be Hounsfield units"
    return [Problem("units", "warning", text, "Check air (-1000) and water (0)")]


def _padding_note(voxels: NDArray[np.generic], header: SliceHeader) -> list[Problem]:
    if header.padding is None:
        return []
    value = header.padding * header.slope + header.intercept
    if not (voxels[0, 0, 0] == value or voxels[-1, -1, -1] == value):
        return []
    text = f"voxels outside the field of view hold the padding value {value:g}"
    return [Problem("padding", "note", text)]
