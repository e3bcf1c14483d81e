"""What the voxels of a DICOM scan tell that its header does not, and its display."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from scanlearn.scans.dicom.series import DicomScan
from scanlearn.scans.dicom.slice_header import SliceHeader
from scanlearn.scans.scan import Problem
from scanlearn.scans.values import POSSIBLE_HU


def turned_upright(
    voxels: NDArray[np.generic], found: DicomScan
) -> tuple[NDArray[np.generic], Problem]:
    """Turn a radiograph whose low values are white; leave a volume's values alone."""
    if not found.is_picture:
        text = f"stored for inverted display ({_said(found)}); values were kept"
        return voxels, Problem("monochrome1", "note", text)
    header = found.slices[0]
    low = -(1 << (header.bits_stored - 1)) if header.signed else 0
    high = (1 << (header.bits_stored - int(header.signed))) - 1
    ends = (low + high) * header.rule.slope + 2 * header.rule.intercept
    turned = np.float64(ends) - voxels.astype(np.float64)
    text = f"stored inverted ({_said(found)}); turned so that dense is bright"
    note = Problem("monochrome1", "note", text)
    info = np.iinfo(np.int16)
    if (
        voxels.dtype == np.int16
        and info.min <= turned.min() <= turned.max() <= info.max
    ):
        return turned.astype(np.int16), note
    return turned.astype(np.float32), note


def _said(found: DicomScan) -> str:
    is_one = found.slices[0].photometric == "MONOCHROME1"
    return "MONOCHROME1" if is_one else "PresentationLUTShape INVERSE"


def units_note(voxels: NDArray[np.generic], found: DicomScan) -> list[Problem]:
    """Say that a CT is in no Hounsfield units, by its header or by its values."""
    acquisition = found.slices[0].series.acquisition
    if acquisition.modality != "CT":
        return []
    if acquisition.units == "HU":
        return _wrapped_note(voxels)
    text = "a CT whose values are not said to be Hounsfield units"
    return [Problem("units", "warning", text, "Check air (-1000) and water (0)")]


def _wrapped_note(voxels: NDArray[np.generic]) -> list[Problem]:
    """Say that values are too high for a CT: negative ones, stored as unsigned."""
    # What fits is int16, and is looked at with the other checks.
    if voxels.dtype == np.int16 or float(voxels.max()) <= POSSIBLE_HU[1]:
        return []
    text = (
        f"values up to {float(voxels.max()):g} do not look like Hounsfield units; "
        "negative ones may have been stored without a sign"
    )
    action = "Export it again with PixelRepresentation 1, or exclude it"
    return [Problem("not-hu", "warning", text, action)]


def padding_note(voxels: NDArray[np.generic], header: SliceHeader) -> list[Problem]:
    """Say that corners hold the value that stands for no image."""
    if header.padding is None:
        return []
    value = header.padding * header.rule.slope + header.rule.intercept
    if not (voxels[0, 0, 0] == value or voxels[-1, -1, -1] == value):
        return []
    text = f"voxels outside the field of view hold the padding value {value:g}"
    return [Problem("padding", "note", text)]
