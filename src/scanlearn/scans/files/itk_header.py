"""What ITK passes over in the text headers of NRRD and MetaImage: units, the space."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from scanlearn.scans.scan import Problem
from scanlearn.scans.tables.cells import number_of
from scanlearn.scans.units import millimetres

#: Headers end before this many bytes; segmentations name hundreds of structures.
_LONGEST = 1 << 20

#: MetaIO has room for no more.
_MOST_DIMENSIONS = 10

#: Fields of MetaImage that hold as many numbers as dimensions, or its square.
_COUNTED = {
    **dict.fromkeys(("dimsize", "elementspacing", "elementsize"), 1),
    **dict.fromkeys(("offset", "position", "origin", "centerofrotation"), 1),
    **dict.fromkeys(("transformmatrix", "rotation", "orientation"), 2),
}

#: Spaces of NRRD whose axes are the patient's.
_PATIENT_SPACES = (
    *("left-posterior-superior", "right-anterior-superior", "left-anterior-superior"),
    *("lps", "ras", "las"),
)


@dataclass(frozen=True)
class TextHeader:
    """The fields of a header, names in lower case."""

    path: Path
    fields: dict[str, str]
    is_nrrd: bool
    #: Names of files that follow the header, a line each.
    listed: tuple[str, ...] = ()

    @property
    def is_packed_by_bzip2(self) -> bool:
        """Whether bytes may be packed without a known limit."""
        return self.fields.get("encoding", "").lower() in ("bz2", "bzip2")

    @property
    def data_file(self) -> Path:
        """The file that holds the voxels: one beside the header, or the same."""
        name = self._data_name
        return self.path if name.upper() == "LOCAL" else self.path.parent / name

    @property
    def _data_name(self) -> str:
        name = self.fields.get("data file") or self.fields.get("datafile")
        return name or self.fields.get("elementdatafile") or "LOCAL"

    def file_elsewhere(self) -> str:
        """Return the first data file that is not in the header's folder, or nothing.

        A header from elsewhere could name any file of this machine, and its content
        would be shown and learned as voxels.
        """
        for name in (self._data_name, *self.listed):
            rooted = PurePosixPath(name).root or PureWindowsPath(name).anchor
            if rooted or name.startswith("~") or ".." in re.split(r"[/\\]", name):
                return name
        return ""

    def fault(self) -> str:
        """Return what is impossible in a MetaImage header: MetaIO crashes on it."""
        if self.is_nrrd:
            return ""
        try:
            dimensions = int(self.fields.get("ndims", ""))
        except ValueError:
            return "its NDims is no number"
        if not 1 <= dimensions <= _MOST_DIMENSIONS:
            return f"its NDims is {dimensions}"
        for name, power in _COUNTED.items():
            text = self.fields.get(name)
            if text is not None and not _has_numbers(text, dimensions**power):
                return f"its {name} is '{text[:60]}', not {dimensions**power} numbers"
        for name in ("elementnumberofchannels", "headersize"):
            if not re.fullmatch(r"-?[0-9]{1,9}", self.fields.get(name, "1")):
                return f"its {name} is no number"
        return ""

    def millimetres(self) -> tuple[tuple[float, float, float], list[Problem]]:
        """Return how many millimetres one is along each patient axis."""
        units = self._units()
        scales = [millimetres(unit) for unit in units]
        unknown = [u for u, mm in zip(units, scales, strict=True) if mm is None and u]
        problems = [self._unknown(unknown[0])] if unknown else []
        x, y, z = (*(mm or 1.0 for mm in scales), 1.0, 1.0, 1.0)[:3]
        return (x, y, z), problems

    def _units(self) -> list[str]:
        """Return the units of the axes of space; "" where they are not stated."""
        texts = [self.fields.get(name, "") for name in ("space units", "units")]
        for units in (re.findall(r'"([^"]*)"', text) for text in texts):
            if any(units):
                kinds = self.fields.get("kinds", "").split()
                spatial = [
                    unit
                    for number, unit in enumerate(units)
                    if len(units) <= 3
                    or number >= len(kinds)
                    or kinds[number] in ("domain", "space")
                ]
                return spatial[:3]
        return [self.fields.get("distanceunits", "").strip("? ")] * 3

    def _unknown(self, unit: str) -> Problem:
        text = f"{self.path.name} states the unit of length '{unit}', which is unknown"
        action = "Millimetres were taken; check the size"
        return Problem("unknown_unit", "warning", text, action)

    def place_problems(self) -> list[Problem]:
        """Return a warning where the header does not state the patient's sides."""
        if "space dimension" in self.fields or "space" in self.fields:
            space = self.fields.get("space", "").lower().removesuffix("-time")
            told = space in _PATIENT_SPACES
        else:
            matrix = {"transformmatrix", "rotation", "orientation"}
            told = bool(matrix.intersection(self.fields))
        if told:
            return []
        text = f"{self.path.name} says nothing about its place in the patient"
        action = "Check left and right before trusting the orientation letters"
        return [Problem("no_geometry", "warning", text, action)]


def _has_numbers(text: str, count: int) -> bool:
    numbers = [number_of(part) for part in text.split()]
    return len(numbers) == count and not any(map(math.isnan, numbers))


def read_text_header(path: Path) -> TextHeader:
    """Read the fields of an NRRD or MetaImage header."""
    with path.open("rb") as file:
        whole = start = file.read(_LONGEST)
    is_nrrd = start.startswith(b"NRRD")
    end = rb"\r?\n\r?\n" if is_nrrd else rb"(?m)^\s*ElementDataFile\s*=.*$"
    found = re.search(end, start)
    start = start[: found.end()] if found else start
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError:
        text = start.decode("latin-1")
    pairs = re.findall(r"(?m)^([\w ]+?)\s*[:=]\s?=?(.*)$", text)
    fields = {name.strip().lower(): value.strip() for name, value in pairs}
    return TextHeader(path, fields, is_nrrd, _listed(whole))


def _listed(header: bytes) -> tuple[str, ...]:
    """Return the names of files that a header lists, one for every slice."""
    found = re.search(rb"(?im)^(data ?file|ElementDataFile)\s*[:=]\s*LIST.*$", header)
    if found is None:
        return ()
    lines = header[found.end() :].decode("latin-1").splitlines()
    return tuple(line.strip() for line in lines if line.strip())
