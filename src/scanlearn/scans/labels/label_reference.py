"""What a DICOM file of labels says it was made on, and what the slices say of that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scanlearn.scans.dicom.inflated import refuse_inflation
from scanlearn.scans.find import kind_of

#: DICOM-SEG, also as a label map; RT-STRUCT.
SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
CONTOUR_CLASSES = ("1.2.840.10008.5.1.4.1.1.481.3",)

_IDENTITY = ("SeriesInstanceUID", "FrameOfReferenceUID", "PatientID")


@dataclass(frozen=True)
class Reference:
    """Series, frames of reference and patients that files name; private.

    Empty where nothing is said.
    """

    series: frozenset[str] = frozenset()
    frames: frozenset[str] = frozenset()
    patients: frozenset[str] = frozenset()

    def __or__(self, other: Reference) -> Reference:
        return Reference(
            self.series | other.series,
            self.frames | other.frames,
            self.patients | other.patients,
        )

    def contradictions(self, source: Reference) -> list[str]:
        """Return in which of these facts a source is another than the one meant.

        What either side leaves out contradicts nothing. Neither does a source with
        many frames of reference: some de-identified series have one a slice.
        """
        pairs = [
            ("series", self.series, source.series),
            ("patient", self.patients, source.patients),
        ]
        if len(source.frames) == 1:
            pairs.append(("frame of reference", self.frames, source.frames))
        return [what for what, mine, its in pairs if mine and its and not mine & its]


def label_class(file: Path) -> str:
    """Return the SOP class of a DICOM file of labels; empty for any other file."""
    if not file.is_file() or kind_of(file) != "dicom":
        return ""
    header = _header(file, ["SOPClassUID"])
    uid = "" if header is None else str(header.get("SOPClassUID") or "")
    return uid if uid in SEGMENTATION_CLASSES + CONTOUR_CLASSES else ""


def read_reference(file: Path) -> Reference:
    """Return what a DICOM file of labels was made on; nothing for other files."""
    if not label_class(file):
        return Reference()
    header = _header(file, None)
    if header is None:
        return Reference()
    try:
        return _named(_walk(header), header)
    except Exception:  # noqa: BLE001 - of damage, the reader of the labels tells more
        return Reference()


def source_reference(files: Iterable[Path], *, series: str = "") -> Reference:
    """Return what the slices of a scan say of themselves; nothing for other formats.

    Of a folder with several series those of one, if it is named.
    """
    found = Reference()
    for file in files:
        header = _header(file, list(_IDENTITY))
        if header is not None and series in ("", header.get("SeriesInstanceUID")):
            facts = (_texts([header.get(name)]) for name in _IDENTITY)
            found |= Reference(*facts)
    return found


def _named(items: Iterable[Any], header: Any) -> Reference:
    """Return the series and frames named anywhere in a header, and its patient."""
    series: list[Any] = []
    frames = [header.get("FrameOfReferenceUID")]
    for item in items:
        series.append(item.get("SeriesInstanceUID"))
        frames.append(item.get("FrameOfReferenceUID"))
        frames.append(item.get("ReferencedFrameOfReferenceUID"))
    return Reference(_texts(series), _texts(frames), _texts([header.get("PatientID")]))


def _walk(header: Any) -> Iterator[Any]:
    """Yield the items that may name a series or a frame of reference."""
    yield from header.get("ReferencedSeriesSequence") or []
    yield from header.get("StructureSetROISequence") or []
    for frame in header.get("ReferencedFrameOfReferenceSequence") or []:
        yield frame
        for study in frame.get("RTReferencedStudySequence") or []:
            yield from study.get("RTReferencedSeriesSequence") or []


def _texts(values: Iterable[Any]) -> frozenset[str]:
    return frozenset(text for value in values if (text := str(value or "").strip()))


def _header(file: Path, tags: list[str] | None) -> Any:
    """Return a header without pixels; None for what is no DICOM file or damaged."""
    from pydicom import dcmread

    try:
        refuse_inflation(file)
        return dcmread(file, specific_tags=tags, stop_before_pixels=True)
    except Exception:  # noqa: BLE001 - of damage, the reader of scans tells more
        return None
