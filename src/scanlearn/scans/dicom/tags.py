"""The DICOM tags that sort slices, decoded by hand from their raw bytes.

pydicom's own conversion of a value costs ten times as much as reading it, and a folder
has tens of thousands of values. It also gives up where a number is spelled oddly.
"""

from __future__ import annotations

import re
import struct
from functools import cache
from typing import Any

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

_SLICE_TAGS = (
    "ImageType SOPClassUID SOPInstanceUID InstanceNumber SliceLocation "
    "ImagePositionPatient ImageOrientationPatient SamplesPerPixel "
    "PhotometricInterpretation NumberOfFrames Rows Columns PixelSpacing "
    "ImagerPixelSpacing NominalScannedPixelSpacing SpacingBetweenSlices "
    "SliceThickness BitsAllocated BitsStored HighBit PixelRepresentation "
    "PixelPaddingValue RescaleIntercept RescaleSlope RescaleType "
    "ModalityLUTSequence PresentationLUTShape SeriesInstanceUID Modality "
    "PatientOrientation"
)
_SERIES_TAGS = (
    "SpecificCharacterSet Manufacturer SeriesDescription ProtocolName PatientName "
    "PatientID IssuerOfPatientID PatientBirthDate BodyPartExamined "
    "ContrastBolusAgent ConvolutionKernel StudyInstanceUID StudyDescription"
)
#: What may tell apart images of one position, the most telling first.
_PHASE_NAMES = (
    "SeriesNumber AcquisitionNumber TemporalPositionIdentifier EchoTime EchoNumbers "
    "ImageType DiffusionBValue DiffusionGradientOrientation InversionTime FlipAngle "
    "RepetitionTime KVP ConvolutionKernel SliceThickness ContrastBolusAgent "
    "NominalPercentageOfCardiacPhase SeriesDescription AcquisitionDate TriggerTime "
    "FrameReferenceTime AcquisitionDateTime AcquisitionTime ContentTime"
)
#: The same in tags of the makers, where they write no standard ones.
_PRIVATE_PHASES = {
    0x0019100C: "b-value (Siemens)",
    0x0019100E: "diffusion direction (Siemens)",
    0x001910BB: "diffusion direction (GE) x",
    0x001910BC: "diffusion direction (GE) y",
    0x001910BD: "diffusion direction (GE) z",
    0x00431039: "b-value (GE)",
    0x0043102F: "kind of image (GE)",
    0x00651009: "b-value (UIH)",
    0x00651037: "diffusion direction (UIH)",
    0x20011003: "b-value (Philips)",
    0x20011004: "diffusion direction (Philips)",
    0x20011008: "phase number (Philips)",
    0x20051011: "kind of image (Philips)",
    0x200510B0: "diffusion direction (Philips) x",
    0x200510B1: "diffusion direction (Philips) y",
    0x200510B2: "diffusion direction (Philips) z",
}
#: How many slices Siemens tiled into one picture.
MOSAIC_SIZE = 0x0019100A
_PHASES = {
    **{int(Tag(name)): name for name in _PHASE_NAMES.split()},
    **_PRIVATE_PHASES,
}
WANTED: list[BaseTag | int] = [
    *map(Tag, f"{_SLICE_TAGS} {_SERIES_TAGS}".split()),
    *map(Tag, _PHASES),
    Tag(MOSAIC_SIZE),
]
#: Where a slice lies: tag, in words, how many numbers.
PLACE_TAGS = (
    ("ImagePositionPatient", "position", 3),
    ("ImageOrientationPatient", "orientation", 6),
    ("PixelSpacing", "pixel spacing", 2),
)

_BINARY = {"FD": "d", "FL": "f", "SL": "i", "UL": "I", "SS": "h", "US": "H"}
#: A number with a decimal comma: DICOM knows no mark of thousands.
_WITH_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?")
#: Larger numbers are no lengths, scales or times.
_LARGEST = 1e12


@cache
def _number_of(name: str) -> int:
    # Plain numbers are found ten times as fast as pydicom's tags.
    return int(Tag(name))


def read_numbers(text: str, count: int) -> tuple[float, ...]:
    r"""Return ``count`` finite numbers (any where 0) of a text, or none.

    A decimal comma is understood, and commas in place of the back-slashes between
    numbers, where the text can mean nothing else.
    """
    parts = text.split("\\")
    if len(parts) == 1 and count > 1:
        parts = _parted_by_commas(text, count)
    try:
        found = tuple(map(_number, parts))
    except ValueError:
        return ()
    if (count and len(found) != count) or not all(abs(x) < _LARGEST for x in found):
        return ()
    return found


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        if not _WITH_COMMA.fullmatch(text.strip()):
            raise
        return float(text.replace(",", "."))
    if "_" in text:  # Python's own spelling, which no file means
        raise ValueError(text)
    return number


def _parted_by_commas(text: str, count: int) -> list[str]:
    parts = text.split(",")
    # Two whole numbers might be one with a decimal comma.
    is_clear = count > 2 or all("." in part for part in parts)
    return parts if len(parts) == count and is_clear else [text]


def unreadable(text: str, what: str, count: int) -> str:
    """Return in words that a tag states something, but not ``count`` numbers."""
    if not text or read_numbers(text, count):
        return ""
    return f"states no {what} that can be read ({text!r})"


class Tags:
    """Decodes raw values by hand: pydicom's own conversion costs ten times as much."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._raw: dict[int, Any] = dict(
            zip(map(int, dataset.keys()), dataset.values(), strict=True)
        )

    def __contains__(self, tag: str | int) -> bool:
        return (_number_of(tag) if isinstance(tag, str) else tag) in self._raw

    def text(self, name: str) -> str:
        """Return plain text; an empty one where the tag is absent."""
        value = self._value(name)
        if isinstance(value, bytes):
            return value.decode("latin-1").strip(" \0")
        return _joined(value)

    def number(self, name: str) -> float | None:
        """Return the first number of a tag, or None."""
        found = self.numbers(name, 0)
        return found[0] if found else None

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        """Return ``count`` finite numbers (any where 0), or none if they are not so."""
        text = self.text(name)
        return read_numbers(text, count) if text else ()

    def whole(self, name: str) -> int:
        """Return a 16-bit whole number, 0 where it is absent."""
        value = self._value(name)
        if isinstance(value, bytes):
            item = self._raw[_number_of(name)]
            order = "little" if getattr(item, "is_little_endian", True) else "big"
            return int.from_bytes(value[:2], order)  # type: ignore[arg-type]
        return int(value or 0)

    def padding(self, *, signed: bool, bits: int) -> int | None:
        """Return the padding value with the sign of the pixels, or None."""
        if "PixelPaddingValue" not in self:
            return None
        value = self.whole("PixelPaddingValue") & ((1 << min(bits, 16)) - 1)
        return value - (1 << bits) if signed and value >> (bits - 1) else value

    def decoded(self, name: str) -> str:
        """Return a text in the file's own character set."""
        value = self._dataset.get(Tag(name))
        return "" if value is None or value.value is None else str(value.value).strip()

    def phase(self) -> tuple[tuple[str, str], ...]:
        """Return the names and values of tags that tell images of a place apart."""
        return tuple(
            (name, self.shown(number))
            for number, name in _PHASES.items()
            if number in self._raw
        )

    def shown(self, tag: str | int) -> str:
        """Return a value as a text to compare and show, binary numbers as numbers."""
        item = self._raw.get(_number_of(tag) if isinstance(tag, str) else tag)
        if item is None:
            return ""
        if not isinstance(item.value, bytes):
            return _joined(item.value)
        letter = _BINARY.get(_kind(item), "")
        if not letter or len(item.value) % struct.calcsize(letter):
            return item.value.decode("latin-1").strip(" \0")
        order = "<" if getattr(item, "is_little_endian", True) else ">"
        count = len(item.value) // struct.calcsize(letter)
        numbers = struct.unpack(f"{order}{count}{letter}", item.value)
        return "\\".join(f"{number:g}" for number in numbers)

    def _value(self, name: str) -> Any:
        item = self._raw.get(_number_of(name))
        return None if item is None else item.value


def _kind(item: Any) -> str:
    """Return how a value is written; where the file does not state it, as it should."""
    if item.VR:
        return str(item.VR)
    return "" if item.tag.is_private else str(dictionary_VR(item.tag))


def _joined(value: Any) -> str:
    """Return a value that pydicom has converted as the text of its file."""
    if value is None or isinstance(value, str):
        return value or ""
    if hasattr(value, "__iter__"):
        return "\\".join(str(getattr(v, "original_string", v)) for v in value)
    return str(getattr(value, "original_string", value))
