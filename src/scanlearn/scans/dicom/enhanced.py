"""Enhanced multi-frame CT and MR: one file taken apart into its frames."""

from __future__ import annotations

from dataclasses import replace

import pydicom
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence
from pydicom.tag import BaseTag, Tag

from scanlearn.scans.dicom.slice_header import SeriesInfo, SliceHeader
from scanlearn.scans.dicom.tags import PLACE_TAGS, Tags, unreadable
from scanlearn.scans.dicom.value_rules import ValueRule, scale_rule

_GROUPS: list[BaseTag | int] = [
    Tag("SharedFunctionalGroupsSequence"),
    Tag("PerFrameFunctionalGroupsSequence"),
    Tag("DimensionIndexSequence"),
]
#: Where Philips keeps the tags that classic files have.
_PHILIPS = Tag(0x2005140F)
#: What may tell apart frames of one position: functional groups and an attribute.
_PHASES = (
    "FrameContentSequence.TemporalPositionIndex",
    "TemporalPositionSequence.TemporalPositionTimeOffset",
    "MREchoSequence.EffectiveEchoTime",
    "MRImageFrameTypeSequence.FrameType",
    "MRImageFrameTypeSequence.ComplexImageComponent",
    "CTImageFrameTypeSequence.FrameType",
    "MRDiffusionSequence.DiffusionBValue",
    "MRDiffusionSequence.DiffusionDirectionality",
    "MRDiffusionSequence.DiffusionGradientDirectionSequence.DiffusionGradientOrientation",
    "MRModifierSequence.InversionTimes",
    "MRTimingAndRelatedParametersSequence.FlipAngle",
    "MRTimingAndRelatedParametersSequence.RepetitionTime",
    "CTXRayDetailsSequence.KVP",
    "CTReconstructionSequence.ConvolutionKernel",
    "PixelMeasuresSequence.SliceThickness",
    "ContrastBolusUsageSequence.ContrastBolusAgentAdministered",
    "CardiacSynchronizationSequence.NominalPercentageOfCardiacPhase",
    "CardiacSynchronizationSequence.NominalCardiacTriggerDelayTime",
    "RespiratorySynchronizationSequence.NominalPercentageOfRespiratoryPhase",
    "FrameContentSequence.FrameAcquisitionNumber",
    "FrameContentSequence.StackID",
)
_PLACES = (
    "PlanePositionSequence",
    "PlaneOrientationSequence",
    "PixelMeasuresSequence",
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
        return [replace(header, problem=_without_places(header, len(per_frame)))]
    if header.problem:
        return [header]
    shared = list(dataset.get("SharedFunctionalGroupsSequence", None) or [Dataset()])
    groups = [_Groups(own, shared[0]) for own in per_frame]
    series = _with_units(header.series, groups[0])
    dimensions = _dimension_names(dataset)
    return [
        _frame_header(header, series, number, group, dimensions)
        for number, group in enumerate(groups)
    ]


def _without_places(header: SliceHeader, told: int) -> str:
    if not told:
        return f"holds {header.frames} frames: several frames without positions"
    return f"holds {header.frames} frames, but positions of {told}"


class _Groups:
    """The functional groups of one frame."""

    def __init__(self, own: Dataset, shared: Dataset) -> None:
        self.own = own
        self._sources = own, shared

    def tags(self, place: str) -> Tags:
        """Return the tags that hold an attribute, named with the groups it lies in."""
        *groups, name = place.split(".")
        for source in self._sources:
            item: Dataset | None = source
            for group in groups:
                sequence = item.get(group, None) if item is not None else None
                item = sequence[0] if sequence else None
            if item is not None and name in item:
                return Tags(item)
        return Tags(Dataset())

    def shown(self, place: str) -> str:
        """Return an attribute as a text; an empty one where it is absent."""
        return self.tags(place).shown(place.rpartition(".")[2])

    def numbers(self, place: str, count: int) -> tuple[float, ...]:
        """Return an attribute as numbers; none where it is absent."""
        return self.tags(place).numbers(place.rpartition(".")[2], count)


def _frame_header(
    header: SliceHeader,
    series: SeriesInfo,
    number: int,
    group: _Groups,
    dimensions: list[str],
) -> SliceHeader:
    thickness = group.numbers("PixelMeasuresSequence.SliceThickness", 1)
    rule, offset = _rule(header.rule, group), header.pixel_offset
    return replace(
        header,
        series=series,
        frame=number,
        rule=rule,
        position=group.numbers("PlanePositionSequence.ImagePositionPatient", 3)
        or header.position,
        orientation=group.numbers("PlaneOrientationSequence.ImageOrientationPatient", 6)
        or header.orientation,
        pixel_spacing=group.numbers("PixelMeasuresSequence.PixelSpacing", 2)
        or header.pixel_spacing,
        thickness=thickness[0] if thickness else header.thickness,
        phase=(*_phase(group, dimensions), *header.phase, ("file", header.sop_uid)),
        pixel_offset=offset + number * header.frame_bytes if offset >= 0 else -1,
        problem=rule.problem or _unreadable_place(group),
    )


def _rule(whole: ValueRule, group: _Groups) -> ValueRule:
    """Return what a frame's values mean: its own rescaling wins over the file's."""
    tags = group.tags("PixelValueTransformationSequence.RescaleSlope")
    own = scale_rule(tags.text("RescaleSlope"), tags.text("RescaleIntercept"))
    if not own.is_stated and not own.problem:
        return whole
    return replace(
        own, shift=whole.shift, problem=own.problem or whole.problem, is_plain=False
    )


def _unreadable_place(group: _Groups) -> str:
    """Return what of a frame's place is there but cannot be read, in words."""
    found = (
        unreadable(group.tags(f"{sequence}.{name}").text(name), what, count)
        for sequence, (name, what, count) in zip(_PLACES, PLACE_TAGS, strict=True)
    )
    return next(filter(None, found), "")


def _phase(group: _Groups, dimensions: list[str]) -> tuple[tuple[str, str], ...]:
    """Return what tells this frame from others, the most telling first."""
    named = [(place.rpartition(".")[2], group.shown(place)) for place in _PHASES]
    index = group.shown("FrameContentSequence.DimensionIndexValues").split("\\")
    names = [*dimensions, *(f"dimension {k + 1}" for k in range(len(dimensions), 99))]
    named += zip(names, index, strict=False)
    classic = group.own.get(_PHILIPS)
    if classic is not None and isinstance(classic.value, DicomSequence):
        named += [pair for item in classic.value[:1] for pair in Tags(item).phase()]
    # Names are met twice where Philips repeats what the groups have told.
    told: dict[str, str] = {}
    for name, value in named:
        if value:
            told.setdefault(name, value)
    return tuple(told.items())


def _dimension_names(dataset: Dataset) -> list[str]:
    items = dataset.get("DimensionIndexSequence", None) or []
    pointers = [item.get("DimensionIndexPointer", None) for item in items]
    names = [keyword_for_tag(p) if p is not None else "" for p in pointers]
    return [f"dimension {k + 1} ({n or 'private'})" for k, n in enumerate(names)]


def _with_units(series: SeriesInfo, group: _Groups) -> SeriesInfo:
    kind = group.shown("PixelValueTransformationSequence.RescaleType")
    has_scale = group.numbers("PixelValueTransformationSequence.RescaleIntercept", 1)
    if series.acquisition.modality != "CT" or not has_scale:
        return series
    kernel = group.shown("CTReconstructionSequence.ConvolutionKernel")
    acquisition = replace(
        series.acquisition,
        units="HU" if kind.upper() in ("", "HU") else "arbitrary",
        kernel=kernel or series.acquisition.kernel,
    )
    return replace(series, acquisition=acquisition)
