"""The voxels of a series, exact: int16 where they fit, float32 otherwise.

Uncompressed little-endian frames are read straight into the array they end up in.
Compressed CT is decoded on a few threads by GDCM through SimpleITK, which releases
Python's lock; everything else (big-endian, deflated, compressed multi-frame, compressed
MR) goes through pydicom, whose decoder is python-gdcm, or to the latter directly.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import iter_pixels

from scanlearn.errors import BadScan
from scanlearn.scans.dicom.rescale import DoesNotFit, rescale, store_exact
from scanlearn.scans.dicom.slice_header import PLAIN_SYNTAXES, SliceHeader

#: More threads do not help: reading is bound by memory, decoding by cores.
MAX_THREADS = 4
#: pydicom refuses its 12-bit form, which GDCM itself decodes.
_JPEG_EXTENDED = "1.2.840.10008.1.2.4.51"
_CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
#: Compressed files that ITK reads at once.
RUN_LENGTH = 16

_Part = TypeVar("_Part")


def read_slices(slices: Sequence[SliceHeader]) -> NDArray[np.generic]:
    """Return the voxels (n, rows, columns) of slices of one size.

    Each slice is rescaled with its own slope and intercept.

    Raises
    ------
    BadScan
        The pixels of a file are truncated or cannot be decoded.
    """
    shape = (len(slices), slices[0].rows, slices[0].columns)
    if all(s.rule.is_whole for s in slices):
        whole = np.empty(shape, dtype=np.int16)
        try:
            _fill(whole, slices)
            return whole
        except DoesNotFit:
            del whole
    rescaled = np.empty(shape, dtype=np.float32)
    _fill(rescaled, slices)
    return rescaled


def _fill(voxels: NDArray[np.generic], slices: Sequence[SliceHeader]) -> None:
    """Fill voxels (n, rows, columns) file by file, or in runs where that is faster."""
    if _read_alike(slices):
        runs = range(0, len(slices), RUN_LENGTH)
        _on_threads(lambda k: _read_run(slices[k : k + RUN_LENGTH], voxels[k:]), runs)
        return
    places: dict[Path, list[int]] = defaultdict(list)
    for k, header in enumerate(slices):
        places[header.path].append(k)

    def fill_file(path: Path) -> None:
        _read_file(path, [(slices[k], voxels[k]) for k in places[path]])

    _on_threads(fill_file, list(places))


def _on_threads(work: Callable[[_Part], None], parts: Sequence[_Part]) -> None:
    threads = min(MAX_THREADS, os.cpu_count() or 1, len(parts))
    if threads == 1:
        for part in parts:
            work(part)
        return
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, part) for part in parts]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _read_alike(slices: Sequence[SliceHeader]) -> bool:
    """Whether ITK can read runs of these files at once, with one scale for all."""
    first = slices[0]
    scale = first.rule, first.bits_stored, first.signed
    return len(slices) > 1 and all(
        _is_for_itk(s) and (s.rule, s.bits_stored, s.signed) == scale for s in slices
    )


def _is_for_itk(header: SliceHeader) -> bool:
    # Only CT: for MR, ITK may take the scale from real-world value mappings. ITK turns
    # the values of MONOCHROME1, and reads the scale itself.
    is_plain = header.photometric == "MONOCHROME2" and header.rule.is_plain
    is_single = header.frames == 1 and header.sop_class == _CT_IMAGE
    return header.is_compressed and is_single and is_plain


def _read_run(slices: Sequence[SliceHeader], out: NDArray[np.generic]) -> None:
    """Read a run of compressed files at once: ITK parses each header once less."""
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileNames([str(s.path) for s in slices])
    # Uneven slices were reported already; ITK would print a warning for each run.
    reader.SetSpacingWarningRelThreshold(np.inf)
    try:
        values = SimpleITK.GetArrayFromImage(reader.Execute())
        store_exact(values.reshape(len(slices), *out.shape[1:]), out[: len(slices)])
    except (RuntimeError, ValueError):
        # One of them is damaged or odd: read them one by one to find out which.
        for k, header in enumerate(slices):
            _read_file(header.path, [(header, out[k])])


_Job = tuple[SliceHeader, NDArray[np.generic]]


def _read_file(path: Path, jobs: Sequence[_Job]) -> None:
    """Read the frames of one file, each into its own array (rows, columns)."""
    first = jobs[0][0]
    try:
        if first.pixel_offset >= 0 and first.syntax in PLAIN_SYNTAXES:
            _read_plain(path, jobs)
        elif _is_for_itk(first):
            _read_by_itk(path, jobs[0])
        elif first.syntax == _JPEG_EXTENDED:
            _read_by_gdcm(path, jobs)
        else:
            _read_by_pydicom(path, jobs)
    except (BadScan, DoesNotFit):
        raise
    except Exception as error:  # decoders raise many kinds on damaged bytes
        raise _undecodable(path, first, error) from error


def _read_plain(path: Path, jobs: Sequence[_Job]) -> None:
    with path.open("rb", buffering=0) as file:
        for header, out in jobs:
            stored = _room_for(header, out)
            file.seek(header.pixel_offset)
            if file.readinto(stored.data.cast("B")) < header.frame_bytes:
                raise _truncated(path)
            rescale(stored, out, header)


def _room_for(header: SliceHeader, out: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return an array for a frame's stored values; ``out`` itself where that fits."""
    kind = "i" if header.signed else "u"
    dtype = np.dtype(f"<{kind}{header.bits_allocated // 8}")
    if out.dtype == np.int16 and dtype.itemsize == 2:
        return out.view(dtype)
    return np.empty(out.shape, dtype=dtype)


def _read_by_pydicom(path: Path, jobs: Sequence[_Job]) -> None:
    frames = _pydicom_frames(path, [header for header, _ in jobs])
    for (header, out), stored in zip(jobs, frames, strict=True):
        rescale(stored.reshape(out.shape), out, header)


def _pydicom_frames(
    path: Path, headers: list[SliceHeader]
) -> Iterator[NDArray[np.generic]]:
    dataset = pydicom.dcmread(path, force=True)
    if headers[0].rule.shift:
        # pydicom clears the upper bits, which here are those that count.
        dataset.BitsStored = dataset.BitsAllocated
    if not dataset.file_meta.get("TransferSyntaxUID"):
        implicit, little = dataset.original_encoding
        dataset.file_meta.TransferSyntaxUID = (
            pydicom.uid.ImplicitVRLittleEndian
            if implicit
            else pydicom.uid.ExplicitVRLittleEndian
            if little
            else pydicom.uid.ExplicitVRBigEndian
        )
    yield from iter_pixels(dataset, indices=[h.frame for h in headers], raw=True)


def _read_by_gdcm(path: Path, jobs: Sequence[_Job]) -> None:
    import gdcm

    reader = gdcm.ImageReader()
    reader.SetFileName(str(path))
    if not reader.Read():
        raise ValueError("GDCM cannot read it")
    # Bytes come wrapped into a text.
    values = reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape")
    first, out = jobs[0]
    kind = f"{'i' if first.signed else 'u'}{first.bits_allocated // 8}"
    stored = np.frombuffer(values, kind).reshape(first.frames, *out.shape)
    for header, voxels in jobs:
        rescale(stored[header.frame], voxels, header)


def _read_by_itk(path: Path, job: _Job) -> None:
    import SimpleITK

    _, out = job
    reader = SimpleITK.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(str(path))
    values = SimpleITK.GetArrayFromImage(reader.Execute()).reshape(out.shape)
    store_exact(values, out)


def _truncated(path: Path) -> BadScan:
    return BadScan(
        f"{path} is truncated: its pixels are not all there",
        expected="a complete DICOM file",
        next_step="Copy the file again from where it came from, or take it out",
    )


def _undecodable(path: Path, header: SliceHeader, error: Exception) -> BadScan:
    syntax = pydicom.uid.UID(header.syntax).name
    reason = str(error).strip().splitlines()
    return BadScan(
        f"The pixels of {path} cannot be decoded ({syntax}: "
        f"{reason[-1] if reason else type(error).__name__})",
        expected="complete pixel data in a known compression",
        next_step="Copy the file again; if that does not help, export it uncompressed",
    )
