"""Small pictures of scans, from one slice and never the whole volume."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadScan, ScanlearnError
from scanlearn.scans.scan import ScanEntry

SIZE = 56

#: What decompressing raises where a file ends too early.
_BROKEN_OFF = (EOFError, zlib.error)

#: A reader may fail on one slice in as many ways as there are file formats.
_UNREADABLE = (
    ScanlearnError,
    OSError,
    ValueError,
    KeyError,
    AttributeError,
    RuntimeError,
    TypeError,
)


def thumbnail(entry: ScanEntry) -> NDArray[np.uint8] | None:
    """Return a SIZE x SIZE grey picture of a scan, None where no slice can be read.

    Raises
    ------
    BadScan
        If a compressed file breaks off before its middle slice ends.
    """
    if entry.error:
        return None
    try:
        hu = entry.acquisition.units == "HU"
        return grey_picture(_middle_slice(entry), hu=hu)
    except _BROKEN_OFF:
        raise BadScan(
            "The file is cut short or damaged",
            expected="a complete file",
            next_step="Copy it again from where it came, or leave it out",
        ) from None
    except _UNREADABLE:
        return None  # a list without a picture is still a list


def _middle_slice(entry: ScanEntry) -> NDArray[Any]:
    """Return the middle slice, rows to the back (or feet), columns to the left."""
    if entry.kind == "dicom":
        return _dicom_slice(entry)
    if entry.kind == "nifti":
        return _nifti_slice(entry)
    from scanlearn.scans.read import read_scan

    voxels = read_scan(entry).canonical().voxels
    return np.asarray(voxels[voxels.shape[0] // 2])


def _dicom_slice(entry: ScanEntry) -> NDArray[Any]:
    from pydicom import dcmread

    header = dcmread(entry.files[len(entry.files) // 2])
    pixels = header.pixel_array.astype(np.float32)
    if pixels.ndim == 3:
        pixels = pixels[len(pixels) // 2]
    slope = float(header.get("RescaleSlope", 1) or 1)
    return pixels * slope + float(header.get("RescaleIntercept", 0) or 0)


def _nifti_slice(entry: ScanEntry) -> NDArray[Any]:
    import nibabel as nib

    image = nib.as_closest_canonical(nib.load(entry.path))
    volume = image.dataobj
    middle = volume.shape[2] // 2
    plane = np.asarray(volume[:, :, middle]).astype(np.float32)
    plane = plane.reshape(*volume.shape[:2], -1)[..., 0]
    return plane[::-1, ::-1].T  # from (R, A) to (P down, L right)


def grey_picture(plane: NDArray[Any], *, hu: bool) -> NDArray[np.uint8]:
    """Return a slice as a SIZE x SIZE picture, in the lung window for HU."""
    step = max(1, -(-max(plane.shape) // SIZE))
    small = plane[::step, ::step].astype(np.float32)
    if hu:
        low, high = -1350.0, 150.0
    else:
        low, high = (float(q) for q in np.nanpercentile(small, (1, 99)))
    scaled = np.clip((small - low) / max(high - low, 1e-6), 0, 1)
    picture = np.zeros((SIZE, SIZE), dtype=np.uint8)
    top, left = ((SIZE - n) // 2 for n in small.shape)
    inner = np.nan_to_num(scaled * 255).astype(np.uint8)
    picture[top : top + small.shape[0], left : left + small.shape[1]] = inner
    return picture
