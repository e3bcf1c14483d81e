"""One fast pass over DICOM headers: what is needed to sort slices, nothing more.

Only the tags below are decoded and the pixels are never touched, so a series of some
hundred files costs a tenth of a second. What all slices of a series share is decoded
once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import pydicom
from pydicom.dataset import Dataset

from scanlearn.errors import BadScan
from scanlearn.scans.dicom_extent import find_pixels
from scanlearn.scans.dicom_tags import PHASE_TAGS, WANTED, Tags
from scanlearn.scans.scan import Acquisition

Vector = tuple[float, float, float]

_Value = TypeVar("_Value")


#: Uncompressed, little-endian: pixel bytes can be taken as they lie in the file.
PLAIN_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
#: Uncompressed in another dress: big-endian, deflated.
_OTHER_NATIVE_SYNTAXES = ("1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")
#: Labels, doses, reports and presentation states: about scans, not scans.
_NO_SCANS = ("SEG", "RTSTRUCT", "RTDOSE", "RTPLAN", "SR", "PR", "KO", "REG", "FID")
#: A header that states more pixels in a frame is damaged; mammograms have a tenth.
MOST_PIXELS = 1 << 28
_DICOMDIR_CLASS = "1.2.840.10008.1.3.10"
#: What DICOM calls the patient's sides (of head and feet it has its own) -> our letter.
_SIDES = {"L": "L", "R": "R", "A": "A", "P": "P", "H": "S", "F": "I"}


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """What the slices of a series share. ``patient`` is the raw identity: private."""

    uid: str
    acquisition: Acquisition
    patient: str


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """One slice: a single-frame file, or one frame of a multi-frame file.

    ``pixel_offset`` is where the frame's bytes start in the file, -1 where they cannot
    be taken as they lie. ``position`` and ``orientation`` are LPS millimetres and
    cosines, empty where the file has none. ``phase`` holds what tells apart several
    images of one position (acquisition, echo, time point, kind of image).
    """

    path: Path
    series: SeriesInfo
    sop_uid: str
    sop_class: str
    syntax: str
    frame: int
    frames: int
    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    signed: bool
    padding: int | None
    slope: float
    intercept: float
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    pixel_spacing: tuple[float, ...]
    detector_spacing: tuple[float, ...]
    slice_spacing: float | None
    thickness: float | None
    image_type: tuple[str, ...]
    phase: tuple[tuple[str, str], ...]
    pixel_offset: int
    letters: tuple[str, ...] = ()
    problem: str = ""

    @property
    def frame_bytes(self) -> int:
        """Size of one uncompressed frame."""
        return self.rows * self.columns * self.samples * self.bits_allocated // 8

    @property
    def is_compressed(self) -> bool:
        """Whether a decoder is needed for the pixels."""
        return self.syntax not in PLAIN_SYNTAXES + _OTHER_NATIVE_SYNTAXES


def looks_like_dicom(start: bytes) -> bool:
    """Whether a file's first 132 bytes are those of a DICOM file."""
    if start[128:132] == b"DICM":
        return True
    # Old files lack the preamble and start with group 0008.
    return start[:2] == b"\x08\x00" and start[2:4] in (
        b"\x00\x00",
        b"\x01\x00",
        b"\x05\x00",
        b"\x08\x00",
        b"\x16\x00",
    )


class HeaderReader:
    """Reads headers one after the other; remembers what a series shares."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], SeriesInfo] = {}
        # Equal values are one object: a hospital's folder has a million slices.
        self._values: dict[Any, Any] = {}

    def _once(self, value: _Value) -> _Value:
        found: _Value = self._values.setdefault(value, value)
        return found

    def read(self, path: Path) -> list[SliceHeader]:
        """Return the slices of a DICOM file; none where it holds no image.

        Raises
        ------
        BadScan
            The file is no DICOM file, or it breaks off inside its header.
        """
        try:
            with path.open("rb") as file:
                return self._read_open(path, file)
        except BadScan:
            raise
        except Exception as error:  # pydicom raises many kinds on damaged bytes
            raise _unreadable(path, f"cannot be parsed as DICOM ({error})") from error

    def _read_open(self, path: Path, file: BinaryIO) -> list[SliceHeader]:
        size = os.fstat(file.fileno()).st_size
        start = file.read(132)
        if not looks_like_dicom(start):
            raise _unreadable(path, "is no DICOM file")
        file.seek(0)
        dataset = pydicom.dcmread(
            file, stop_before_pixels=True, specific_tags=WANTED, force=True
        )
        tags = Tags(dataset)
        if _DICOMDIR_CLASS in _classes(dataset, tags):
            return []
        offset, length, problem = find_pixels(
            file, size, deflated=_is_deflated(dataset)
        )
        if tags.text("Modality") in _NO_SCANS:
            return []
        if not (tags.whole("Rows") and tags.whole("Columns")):
            if _should_hold_image(dataset, tags):
                raise _unreadable(path, "has no image, or breaks off inside its header")
            return []
        header = self._header(path, dataset, tags, offset, problem)
        if header.rows * header.columns > MOST_PIXELS:
            size_text = f"{header.rows} x {header.columns}"
            raise _unreadable(path, f"states an impossible size of {size_text} pixels")
        if 0 <= length < header.frames * header.frame_bytes:
            header = replace(header, problem="truncated")
        if header.frames > 1 or "Enhanced" in pydicom.uid.UID(header.sop_class).name:
            from scanlearn.scans.dicom_enhanced import split_frames

            return split_frames(header)
        return [header]

    def _header(
        self, path: Path, dataset: Dataset, tags: Tags, offset: int, problem: str
    ) -> SliceHeader:
        signed = tags.whole("PixelRepresentation") == 1
        bits = tags.whole("BitsAllocated") or 16
        slope, intercept = tags.number("RescaleSlope"), tags.number("RescaleIntercept")
        syntax = str(dataset.file_meta.get("TransferSyntaxUID", "") or "")
        once = self._once
        phases = (once((name, tags.text(name))) for name in PHASE_TAGS)
        return SliceHeader(
            path=path,
            series=self._series_of(dataset, tags),
            sop_uid=tags.text("SOPInstanceUID"),
            sop_class=once(tags.text("SOPClassUID")),
            syntax=once(syntax or _guessed_syntax(dataset)),
            frame=0,
            frames=max(1, int(tags.number("NumberOfFrames") or 1)),
            rows=tags.whole("Rows"),
            columns=tags.whole("Columns"),
            samples=tags.whole("SamplesPerPixel") or 1,
            photometric=once(tags.text("PhotometricInterpretation")),
            bits_allocated=bits,
            bits_stored=tags.whole("BitsStored") or bits,
            signed=signed,
            padding=tags.padding(signed=signed, bits=bits),
            # A slope of 0 would wipe the image out: it was never filled in.
            slope=slope or 1.0,
            intercept=0.0 if intercept is None else intercept,
            position=tags.numbers("ImagePositionPatient", 3),
            orientation=once(tags.numbers("ImageOrientationPatient", 6)),
            pixel_spacing=once(tags.numbers("PixelSpacing", 2)),
            detector_spacing=once(
                tags.numbers("ImagerPixelSpacing", 2)
                or tags.numbers("NominalScannedPixelSpacing", 2)
            ),
            slice_spacing=tags.number("SpacingBetweenSlices"),
            thickness=tags.number("SliceThickness"),
            image_type=once(tuple(tags.text("ImageType").upper().split("\\"))),
            phase=once(tuple(phases)),
            pixel_offset=offset,
            letters=once(_letters(tags.text("PatientOrientation"))),
            problem=problem,
        )

    def _series_of(self, dataset: Dataset, tags: Tags) -> SeriesInfo:
        key = tags.text("SeriesInstanceUID"), tags.text("Modality")
        if key not in self._series:
            self._series[key] = _series_info(dataset, tags)
        return self._series[key]


def _classes(dataset: Dataset, tags: Tags) -> list[str]:
    """Return the class a file states: once, or again in front of its header."""
    stated = str(dataset.file_meta.get("MediaStorageSOPClassUID", "") or "")
    return [uid for uid in (tags.text("SOPClassUID"), stated) if uid]


def _should_hold_image(dataset: Dataset, tags: Tags) -> bool:
    """Whether a file without an image must be damaged: its class is that of images."""
    names = [pydicom.uid.UID(uid).name for uid in _classes(dataset, tags)]
    return not names or any("Image Storage" in name for name in names)


def _is_deflated(dataset: Dataset) -> bool:
    syntax = str(dataset.file_meta.get("TransferSyntaxUID", ""))
    return syntax == _OTHER_NATIVE_SYNTAXES[1]


def _guessed_syntax(dataset: Dataset) -> str:
    implicit, little = dataset.original_encoding
    if not little:
        return _OTHER_NATIVE_SYNTAXES[0]
    return PLAIN_SYNTAXES[0] if implicit else PLAIN_SYNTAXES[1]


def _series_info(dataset: Dataset, tags: Tags) -> SeriesInfo:
    modality = tags.text("Modality") or "OT"
    rescale = tags.text("RescaleType").upper()
    is_hu = (
        modality == "CT"
        and rescale in ("", "HU")
        and (tags.number("RescaleIntercept") is not None or rescale == "HU")
    )
    kernel = tags.decoded("ConvolutionKernel")
    acquisition = Acquisition(
        modality=modality,
        units="HU" if is_hu else "arbitrary",
        description=tags.decoded("SeriesDescription") or tags.decoded("ProtocolName"),
        body_part=tags.decoded("BodyPartExamined"),
        kernel=kernel,
        slice_thickness_mm=tags.number("SliceThickness"),
        contrast=tags.decoded("ContrastBolusAgent"),
        manufacturer=tags.decoded("Manufacturer"),
    )
    return SeriesInfo(tags.text("SeriesInstanceUID"), acquisition, _patient(tags))


def _letters(text: str) -> tuple[str, ...]:
    """Return where rows and columns run to in letters of ours, if the file says it.

    DICOM PS3.3, C.7.6.1.1.1: of several letters the first is the main direction.
    """
    found = tuple(_SIDES.get(part.strip()[:1], "") for part in text.split("\\"))
    return found if len(found) == 2 and all(found) else ()


def _patient(tags: Tags) -> str:
    """Return what tells patients apart; it never leaves memory as it is."""
    identifier = tags.decoded("PatientID")
    if identifier:
        issuer = tags.decoded("IssuerOfPatientID")
        return f"{identifier}|{issuer}" if issuer else identifier
    name, born = tags.decoded("PatientName"), tags.text("PatientBirthDate")
    if name:
        return f"{name}|{born}"
    return tags.text("StudyInstanceUID")


def _unreadable(path: Path, what: str) -> BadScan:
    return BadScan(
        f"{path} {what}",
        expected="a complete DICOM image",
        next_step="Copy the file again from where it came from, or take it out",
    )


def read_headers(paths: Iterable[Path]) -> list[SliceHeader]:
    """Return the slices of some DICOM files, in the order of the files."""
    reader = HeaderReader()
    return [header for path in paths for header in reader.read(path)]
