"""The DICOM tags that sort slices, decoded by hand from their raw bytes.

pydicom's own conversion of a value costs ten times as much as reading it, and a folder
has tens of thousands of values.
"""

from __future__ import annotations

from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag

_SLICE_TAGS = (
    "ImageType SOPClassUID SOPInstanceUID AcquisitionTime ContentTime EchoTime "
    "TriggerTime InversionTime DiffusionBValue AcquisitionNumber InstanceNumber "
    "ImagePositionPatient ImageOrientationPatient TemporalPositionIdentifier "
    "SamplesPerPixel PhotometricInterpretation NumberOfFrames Rows Columns "
    "PixelSpacing ImagerPixelSpacing NominalScannedPixelSpacing SpacingBetweenSlices "
    "SliceThickness BitsAllocated BitsStored HighBit PixelRepresentation "
    "PixelPaddingValue RescaleIntercept RescaleSlope RescaleType SeriesInstanceUID "
    "Modality PatientOrientation"
)
_SERIES_TAGS = (
    "SpecificCharacterSet Manufacturer SeriesDescription ProtocolName PatientName "
    "PatientID IssuerOfPatientID PatientBirthDate BodyPartExamined "
    "ContrastBolusAgent ConvolutionKernel StudyInstanceUID StudyDescription"
)
_TAGS: dict[str, BaseTag] = {
    name: Tag(name) for name in f"{_SLICE_TAGS} {_SERIES_TAGS}".split()
}
WANTED: list[BaseTag | int] = list(_TAGS.values())

#: What may tell apart images of one position, the most telling first.
PHASE_TAGS = (
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "EchoTime",
    "ImageType",
    "DiffusionBValue",
    "InversionTime",
    "TriggerTime",
    "AcquisitionTime",
    "ContentTime",
)


class Tags:
    """Decodes raw values by hand: pydicom's own conversion costs ten times as much."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def text(self, name: str) -> str:
        """Return plain text; an empty one where the tag is absent."""
        raw = self._raw(name)
        if isinstance(raw, bytes):
            return raw.decode("latin-1").strip(" \0")
        return "" if raw is None else str(raw)

    def number(self, name: str) -> float | None:
        """Return the first number of a tag, or None."""
        found = self.numbers(name, 0)
        return found[0] if found else None

    def numbers(self, name: str, count: int) -> tuple[float, ...]:
        """Return ``count`` finite numbers (any where 0), or none if they are not so."""
        try:
            found = tuple(float(part) for part in self.text(name).split("\\"))
        except ValueError:
            return ()
        if (count and len(found) != count) or not all(abs(x) < 1e12 for x in found):
            return ()
        return found

    def whole(self, name: str) -> int:
        """Return a 16-bit whole number, 0 where it is absent."""
        raw = self._raw(name)
        if isinstance(raw, bytes):
            order = "little" if self._little_endian(name) else "big"
            return int.from_bytes(raw[:2], order)  # type: ignore[arg-type]
        return int(raw or 0)

    def padding(self, *, signed: bool, bits: int) -> int | None:
        """Return the padding value with the sign of the pixels, or None."""
        if _TAGS["PixelPaddingValue"] not in self._dataset:
            return None
        value = self.whole("PixelPaddingValue") & ((1 << min(bits, 16)) - 1)
        return value - (1 << bits) if signed and value >> (bits - 1) else value

    def decoded(self, name: str) -> str:
        """Return a text in the file's own character set."""
        value = self._dataset.get(_TAGS[name])
        return "" if value is None or value.value is None else str(value.value).strip()

    def _raw(self, name: str) -> Any:
        if _TAGS[name] not in self._dataset:
            return None
        return self._dataset.get_item(_TAGS[name]).value

    def _little_endian(self, name: str) -> bool:
        item = self._dataset.get_item(_TAGS[name])
        return bool(getattr(item, "is_little_endian", True))
