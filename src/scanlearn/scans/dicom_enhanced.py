"""Enhanced multi-frame CT and MR: one file taken apart into its frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

from scanlearn.scans.dicom_headers import SeriesInfo, SliceHeader

_GROUPS: list[BaseTag | int] = [
    Tag("SharedFunctionalGroupsSequence"),
    Tag("PerFrameFunctionalGroupsSequence"),
]
#: What may tell apart frames of one position: (functional group, attribute).
_PHASES = (
    ("FrameContentSequence", "TemporalPositionIndex"),
    ("MREchoSequence", "EffectiveEchoTime"),
    ("MRImageFrameTypeSequence", "FrameType"),
    ("CTImageFrameTypeSequence", "FrameType"),
    ("MRDiffusionSequence", "DiffusionBValue"),
    ("CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime"),
    ("FrameContentSequence", "FrameAcquisitionNumber"),
    ("FrameContentSequence", "StackID"),
)


def split_frames(header: SliceHeader) -> list[SliceHeader]:
    """Return one header per frame of a multi-frame file.

    Position, orientation, spacing and rescaling come from the functional groups; a
    frame's own group wins over the shared one.
    """
    dataset = pydicom.dcmread(
        header.path, stop_before_pixels=True, specific_tags=_GROUPS, force=True
    )
    per_frame = list(dataset.get("PerFrameFunctionalGroupsSequence", None) or [])
    if len(per_frame) != header.frames:
        if header.frames == 1:
            return [header]
        return [replace(header, problem="several frames without positions")]
    if header.problem:
        return [header]
    shared = list(dataset.get("SharedFunctionalGroupsSequence", None) or [Dataset()])
    groups = [_Groups(own, shared[0]) for own in per_frame]
    series = _with_units(header.series, groups[0])
    return [
        _frame_header(header, series, number, group)
        for number, group in enumerate(groups)
    ]


class _Groups:
    """The functional groups of one frame."""

    def __init__(self, own: Dataset, shared: Dataset) -> None:
        self._own, self._shared = own, shared

    def value(self, group: str, name: str) -> Any:
        """Return an attribute of a functional group, or None."""
        for source in (self._own, self._shared):
            sequence = source.get(group, None)
            if sequence and name in sequence[0]:
                return sequence[0].get(name)
        return None

    def numbers(self, group: str, name: str) -> tuple[float, ...]:
        """Return an attribute as numbers; none where it is absent."""
        return tuple(_numbers(self.value(group, name)))


def _frame_header(
    header: SliceHeader, series: SeriesInfo, number: int, group: _Groups
) -> SliceHeader:
    slope = group.numbers("PixelValueTransformationSequence", "RescaleSlope")
    shift = group.numbers("PixelValueTransformationSequence", "RescaleIntercept")
    thickness = group.numbers("PixelMeasuresSequence", "SliceThickness")
    offset = header.pixel_offset
    phase = [(name, _text(group.value(kind, name))) for kind, name in _PHASES]
    return replace(
        header,
        series=series,
        frame=number,
        slope=slope[0] if slope else header.slope,
        intercept=shift[0] if shift else header.intercept,
        position=group.numbers("PlanePositionSequence", "ImagePositionPatient")
        or header.position,
        orientation=group.numbers("PlaneOrientationSequence", "ImageOrientationPatient")
        or header.orientation,
        pixel_spacing=group.numbers("PixelMeasuresSequence", "PixelSpacing")
        or header.pixel_spacing,
        thickness=thickness[0] if thickness else header.thickness,
        # Several files of one series may be its phases.
        phase=(*phase, ("SOPInstanceUID", header.sop_uid)),
        pixel_offset=offset + number * header.frame_bytes if offset >= 0 else -1,
    )


def _with_units(series: SeriesInfo, group: _Groups) -> SeriesInfo:
    kind = _text(group.value("PixelValueTransformationSequence", "RescaleType"))
    has_scale = group.numbers("PixelValueTransformationSequence", "RescaleIntercept")
    if series.acquisition.modality != "CT" or not has_scale:
        return series
    units = "HU" if kind.upper() in ("", "HU") else "arbitrary"
    kernel = _text(group.value("CTReconstructionSequence", "ConvolutionKernel"))
    acquisition = replace(
        series.acquisition,
        units="HU" if units == "HU" else "arbitrary",
        kernel=kernel or series.acquisition.kernel,
    )
    return replace(series, acquisition=acquisition)


def _numbers(value: Any) -> Iterator[float]:
    if value is None:
        return
    parts = value if hasattr(value, "__iter__") else [value]
    for part in parts:
        yield float(part)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
