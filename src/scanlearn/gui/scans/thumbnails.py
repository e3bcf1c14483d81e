"""Small pictures of scans, from one slice, and of label maps."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.preparation.spacing import UNTOLD
from scanlearn.config.palette import class_colour
from scanlearn.errors import BadScan, ScanlearnError
from scanlearn.scans.files.cut_short import BROKEN_OFF, cut_short, refuse_cut_short
from scanlearn.scans.geometry import to_canonical_axes
from scanlearn.scans.labels.label_arrays import looks_like_labels
from scanlearn.scans.scan import ScanEntry

SIZE = 56

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
        If the file breaks off, before its middle slice or after it.
    """
    if entry.error:
        return None
    refuse_cut_short(entry.path)
    try:
        hu = entry.acquisition.units == "HU"
        return grey_picture(_middle_slice(entry), hu=hu)
    except BROKEN_OFF:
        raise cut_short() from None
    except BadScan:
        raise
    except _UNREADABLE:
        return None  # a list without a picture is still a list


def label_thumbnail(entry: ScanEntry) -> NDArray[np.uint8] | None:
    """Return the classes of a label map in their colours, SIZE x SIZE x 3.

    Of the slice on which most is labelled: the middle one is often empty.
    """
    from scanlearn.scans.labels.read_labels import read_label_map

    try:
        labels, grid = read_label_map(entry.path)
    except ScanlearnError:
        return None
    turned = to_canonical_axes(labels, grid)[0]
    fullest = int(np.count_nonzero(turned, axis=(1, 2)).argmax())
    small = _squared(_thinned(turned[fullest]))
    picture = np.full((SIZE, SIZE, 3), 40, dtype=np.uint8)
    for value in np.unique(small[small != 0]):
        colour = class_colour(int(value)).lstrip("#")
        picture[small == value] = list(bytes.fromhex(colour))
    return picture


def may_hold_labels(entry: ScanEntry, *, beside_scan: bool) -> bool:
    """Whether the middle slice of a file that says nothing could be of a label map."""
    if entry.kind not in UNTOLD:
        return False
    return looks_like_labels(_middle_slice(entry), beside_scan=beside_scan)


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
    small = _thinned(plane).astype(np.float32)
    if hu:
        low, high = -1350.0, 150.0
    else:
        low, high = (float(q) for q in np.nanpercentile(small, (1, 99)))
    scaled = np.clip((small - low) / max(high - low, 1e-6), 0, 1)
    return _squared(np.nan_to_num(scaled * 255).astype(np.uint8))


def _thinned(plane: NDArray[Any]) -> NDArray[Any]:
    step = max(1, -(-max(plane.shape) // SIZE))
    return plane[::step, ::step]


def _squared(small: NDArray[Any]) -> NDArray[Any]:
    """Return a picture in the middle of a square of zeros."""
    picture = np.zeros((SIZE, SIZE), dtype=small.dtype)
    top, left = ((SIZE - n) // 2 for n in small.shape)
    picture[top : top + small.shape[0], left : left + small.shape[1]] = small
    return picture
