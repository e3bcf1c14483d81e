"""One fast pass over DICOM headers: what is needed to sort slices, nothing more.

Only the tags below are decoded and the pixels are never touched, so a series of some
hundred files costs a tenth of a second. What all slices of a series share is decoded
once.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import pydicom
from pydicom.dataset import Dataset

from scanlearn.errors import BadScan
from scanlearn.scans.dicom.extent import TRUNCATED, find_pixels
from scanlearn.scans.dicom.inflated import refuse_inflation
from scanlearn.scans.dicom.series_info import letters_of, series_info
from scanlearn.scans.dicom.slice_header import (
    BIG_ENDIAN,
    DEFLATED,
    PLAIN_SYNTAXES,
    SeriesInfo,
    SliceHeader,
)
from scanlearn.scans.dicom.tags import MOSAIC_SIZE, PLACE_TAGS, WANTED, Tags, unreadable
from scanlearn.scans.dicom.value_rules import value_rule

_Value = TypeVar("_Value")

#: Labels, doses, reports and presentation states: about scans, not scans.
_NO_SCANS = ("SEG", "RTSTRUCT", "RTDOSE", "RTPLAN", "SR", "PR", "KO", "REG", "FID")
#: A header that states more pixels in a frame is damaged; mammograms have a tenth.
MOST_PIXELS = 1 << 28
#: What tells series apart, and patients and studies within one that should not.
_SERIES_KEYS = (
    "SeriesInstanceUID",
    "Modality",
    "StudyInstanceUID",
    "PatientID",
    "PatientName",
    "SOPClassUID",
)
_DICOMDIR_CLASS = "1.2.840.10008.1.3.10"


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
        self._series: dict[tuple[str, ...], SeriesInfo] = {}
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
            with path.open("rb") as file, warnings.catch_warnings():
                # Character sets that do not exist, odd values: what counts is told.
                warnings.simplefilter("ignore")
                return self._read_open(path, file)
        except BadScan:
            raise
        except OSError as error:
            raise _closed(path, error) from error
        except Exception as error:  # pydicom raises many kinds on damaged bytes
            raise _unreadable(path, f"cannot be parsed as DICOM ({error})") from error

    def _read_open(self, path: Path, file: BinaryIO) -> list[SliceHeader]:
        size = os.fstat(file.fileno()).st_size
        start = file.read(4096)
        if not looks_like_dicom(start):
            raise _unreadable(path, "is no DICOM file")
        if DEFLATED.encode() in start:
            refuse_inflation(path)
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
            header = replace(header, problem=TRUNCATED)
        if header.frames > 1 or "Enhanced" in pydicom.uid.UID(header.sop_class).name:
            from scanlearn.scans.dicom.enhanced import split_frames

            return split_frames(header)
        return [header]

    def _header(
        self, path: Path, dataset: Dataset, tags: Tags, offset: int, problem: str
    ) -> SliceHeader:
        signed = tags.whole("PixelRepresentation") == 1
        bits = tags.whole("BitsAllocated") or 16
        stored = tags.whole("BitsStored") or bits
        rule = value_rule(tags, dataset, bits=bits, stored=stored)
        syntax = str(dataset.file_meta.get("TransferSyntaxUID", "") or "")
        once = self._once
        photometric = tags.text("PhotometricInterpretation").upper()
        return SliceHeader(
            path=path,
            series=self._series_of(tags),
            sop_uid=tags.text("SOPInstanceUID"),
            sop_class=once(tags.text("SOPClassUID")),
            syntax=once(syntax or _guessed_syntax(dataset)),
            frame=0,
            frames=max(1, int(tags.number("NumberOfFrames") or 1)),
            rows=tags.whole("Rows"),
            columns=tags.whole("Columns"),
            samples=tags.whole("SamplesPerPixel") or 1,
            photometric=once(photometric),
            bits_allocated=bits,
            bits_stored=stored,
            signed=signed,
            padding=tags.padding(signed=signed, bits=bits),
            position=tags.numbers("ImagePositionPatient", 3),
            orientation=once(tags.numbers("ImageOrientationPatient", 6)),
            pixel_spacing=once(tags.numbers("PixelSpacing", 2)),
            detector_spacing=once(
                tags.numbers("ImagerPixelSpacing", 2)
                or tags.numbers("NominalScannedPixelSpacing", 2)
            ),
            slice_spacing=tags.number("SpacingBetweenSlices"),
            thickness=tags.number("SliceThickness"),
            image_type=once(_image_type(tags)),
            phase=tuple(map(once, tags.phase())),
            pixel_offset=offset,
            letters=once(letters_of(tags.text("PatientOrientation"))),
            problem=problem or rule.problem or _unreadable_place(tags),
            rule=once(rule),
            number=_counted(tags),
            slice_location=tags.text("SliceLocation"),
            is_inverse=photometric == "MONOCHROME1"
            or tags.text("PresentationLUTShape").upper() == "INVERSE",
        )

    def _series_of(self, tags: Tags) -> SeriesInfo:
        key = tuple(map(tags.text, _SERIES_KEYS))
        if key not in self._series:
            self._series[key] = series_info(tags)
        return self._series[key]


def _counted(tags: Tags) -> int | None:
    number = tags.number("InstanceNumber")
    return int(number) if number is not None and number.is_integer() else None


def _image_type(tags: Tags) -> tuple[str, ...]:
    """Return the words of the image type; a mosaic is one by its private tag, too."""
    words = tuple(tags.text("ImageType").upper().split("\\"))
    by_siemens = "SIEMENS" in tags.text("Manufacturer").upper()
    is_mosaic = MOSAIC_SIZE in tags and by_siemens and "MOSAIC" not in words
    return (*words, "", "", "MOSAIC") if is_mosaic else words


def _unreadable_place(tags: Tags) -> str:
    """Return what of a slice's place is there but cannot be read, in words."""
    found = (unreadable(tags.text(n), what, count) for n, what, count in PLACE_TAGS)
    return next(filter(None, found), "")


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
    return syntax == DEFLATED


def _guessed_syntax(dataset: Dataset) -> str:
    implicit, little = dataset.original_encoding
    if not little:
        return BIG_ENDIAN
    return PLAIN_SYNTAXES[0] if implicit else PLAIN_SYNTAXES[1]


def _unreadable(path: Path, what: str) -> BadScan:
    return BadScan(
        f"{path} {what}",
        expected="a complete DICOM image",
        next_step="Copy the file again from where it came from, or take it out",
    )


def _closed(path: Path, error: OSError) -> BadScan:
    return BadScan(
        f"{path} may not be read ({error.strerror or error})",
        expected="a file that you have the right to read",
        next_step="Give yourself the right to read it, or take it out",
    )


def read_headers(paths: Iterable[Path]) -> list[SliceHeader]:
    """Return the slices of some DICOM files, in the order of the files."""
    reader = HeaderReader()
    return [header for path in paths for header in reader.read(path)]
