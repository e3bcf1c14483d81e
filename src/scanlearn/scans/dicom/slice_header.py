"""What is known of one slice before its pixels are read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from scanlearn.scans.dicom.value_rules import PLAIN, ValueRule
from scanlearn.scans.scan import Acquisition

#: Uncompressed, little-endian: pixel bytes can be taken as they lie in the file.
PLAIN_SYNTAXES = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
#: Uncompressed in another dress: big-endian, deflated.
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"


@dataclass(frozen=True, slots=True)
class SeriesInfo:
    """What the slices of a series share. ``patient`` is the raw identity: private.

    ``number`` is the one the scanner counted the series by; ``is_identified`` says
    whether the file names the patient, or only its study stands for one;
    ``stated_modality`` is the file's own where another was taken.
    """

    uid: str
    acquisition: Acquisition
    patient: str
    study: str = ""
    number: str = ""
    is_identified: bool = True
    stated_modality: str = ""


@dataclass(frozen=True, slots=True)
class SliceHeader:
    """One slice: a single-frame file, or one frame of a multi-frame file.

    ``pixel_offset`` is where the frame's bytes start in the file, -1 where they cannot
    be taken as they lie. ``position`` and ``orientation`` are LPS millimetres and
    cosines, empty where the file has none. ``phase`` holds what tells apart several
    images of one position (acquisition, echo, time point, kind of image), ``number``
    is the one that the images of a series are counted by. ``rule`` says what its
    values mean, ``is_inverse`` that low ones are shown bright. ``problem`` says after
    the file's name why it cannot be read.
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
    rule: ValueRule = PLAIN
    number: int | None = None
    slice_location: str = ""
    is_inverse: bool = False

    @property
    def frame_bytes(self) -> int:
        """Size of one uncompressed frame."""
        return self.rows * self.columns * self.samples * self.bits_allocated // 8

    @property
    def is_compressed(self) -> bool:
        """Whether a decoder is needed for the pixels."""
        return self.syntax not in (*PLAIN_SYNTAXES, BIG_ENDIAN, DEFLATED)
