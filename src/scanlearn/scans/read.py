"""Any scan into memory, whatever its format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from scanlearn.errors import BadScan
from scanlearn.scans.dicom.reader import (
    choose,
    read_dicom_entry,
    read_dicom_files,
    read_dicom_scan,
)
from scanlearn.scans.dicom.series import group_slices
from scanlearn.scans.files.array import read_array
from scanlearn.scans.files.itk import read_itk
from scanlearn.scans.files.nifti import read_nifti
from scanlearn.scans.files.ome_zarr import read_ome_zarr
from scanlearn.scans.files.picture import read_picture
from scanlearn.scans.find import kind_of, survey
from scanlearn.scans.formats import Kind
from scanlearn.scans.scan import Problem, Scan, ScanEntry

OnUneven = Literal["refuse", "resample"]


def read_scan(
    source: Path | ScanEntry,
    *,
    series: str = "",
    volume: int | None = None,
    on_uneven: OnUneven = "refuse",
) -> Scan:
    """Read one scan: a file, a folder with one scan, or an entry of ``find_scans``.

    Parameters
    ----------
    source
        Path or entry.
    series
        Which series of a folder with several, as named by ``ScanEntry.series_uid``.
    volume
        Which volume of a 4D file; by default the first, with a warning.
    on_uneven
        Refuse a series with missing or unevenly spaced slices, or interpolate it
        linearly along its normal, with a warning.

    Raises
    ------
    BadScan
        No scan, several scans, or one that is damaged; the text names the file and
        what to do.
    """
    if isinstance(source, ScanEntry):
        return _read_entry(source, volume=volume, on_uneven=on_uneven)
    path = Path(source)
    kind = kind_of(path)
    if kind == "dicom":
        return read_dicom_files([path], series=series, on_uneven=on_uneven)
    if kind is not None:
        return _READERS[kind](path, volume)
    return _read_folder(path, series=series, volume=volume, on_uneven=on_uneven)


def _read_entry(entry: ScanEntry, *, volume: int | None, on_uneven: OnUneven) -> Scan:
    if entry.error:
        raise BadScan(entry.error)
    if entry.kind != "dicom":
        wanted = entry.volume if volume is None else volume
        if entry.kind == "array":  # only its table knows its spacing
            z, y, x = entry.spacing_mm
            scan = read_array(entry.path, volume=wanted, spacing_mm=(z, y, x))
            return replace(scan, problems=(*entry.problems, *scan.problems))
        return _READERS[entry.kind](entry.path, wanted)
    return read_dicom_entry(entry, on_uneven=on_uneven)


def _read_folder(
    path: Path, *, series: str, volume: int | None, on_uneven: OnUneven
) -> Scan:
    headers, others = survey(path)
    scans = group_slices(headers)
    readable = [entry for entry in others if not entry.error]
    in_dicom = sum(not scan.error for scan in scans)
    if series or (in_dicom and not readable) or (scans and not others):
        scan = read_dicom_scan(choose(scans, series, path), on_uneven=on_uneven)
        return replace(scan, problems=(*scan.problems, *_left_out(others)))
    if len(readable) == 1 and not in_dicom:
        return _read_entry(readable[0], volume=volume, on_uneven=on_uneven)
    if not readable:
        raise BadScan(others[0].error)
    names = [s.series_uid for s in scans if not s.error]
    names += [entry.path.name for entry in readable]
    more = " …" if len(names) > 8 else ""
    raise BadScan(
        f"{path} holds {len(names)} scans",
        expected="one scan",
        next_step=f"Choose one of them: {'; '.join(names[:8])}{more}",
    )


def _left_out(others: list[ScanEntry]) -> list[Problem]:
    """Say which DICOM files of the folder could not be read: they may be slices."""
    failed = [entry for entry in others if entry.kind == "dicom"]
    if not failed:
        return []
    names = ", ".join(entry.path.name for entry in failed[:3])
    more = f" and {len(failed) - 3} more" if len(failed) > 3 else ""
    text = f"files that cannot be read were left out: {names}{more}"
    action = f"If they belong to this scan: {failed[0].error}"
    return [Problem("unreadable_files", "warning", text, action)]


_READERS: dict[Kind, Callable[[Path, int | None], Scan]] = {
    "nifti": lambda path, volume: read_nifti(path, volume=volume),
    "itk": lambda path, volume: read_itk(path, volume=volume),
    "picture": lambda path, volume: read_picture(path, volume=volume),
    "zarr": lambda path, volume: read_ome_zarr(path, volume=volume),
    "array": lambda path, volume: read_array(path, volume=volume),
}
