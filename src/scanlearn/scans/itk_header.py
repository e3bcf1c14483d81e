"""What ITK passes over in the text headers of NRRD and MetaImage: units, the space."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from scanlearn.scans.scan import Problem
from scanlearn.scans.units import millimetres

#: Headers end before this many bytes; segmentations name hundreds of structures.
_LONGEST = 1 << 20

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

    @property
    def is_packed_by_bzip2(self) -> bool:
        """Whether bytes may be packed without a known limit."""
        return self.fields.get("encoding", "").lower() in ("bz2", "bzip2")

    @property
    def data_file(self) -> Path:
        """The file that holds the voxels: one beside the header, or the same."""
        name = self.fields.get("data file") or self.fields.get("datafile")
        name = name or self.fields.get("elementdatafile") or "LOCAL"
        return self.path if name == "LOCAL" else self.path.parent / name

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


def read_text_header(path: Path) -> TextHeader:
    """Read the fields of an NRRD or MetaImage header; ITK has found it sound."""
    with path.open("rb") as file:
        start = file.read(_LONGEST)
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
    return TextHeader(path, fields)
