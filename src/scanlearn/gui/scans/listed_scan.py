"""One line of the list of scans, and its words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scanlearn.gui.kit.widgets import shortened
from scanlearn.gui.viewer.layers import short_key
from scanlearn.scans.scan import NO_SPACING, Problem, ScanEntry, has_scale

#: Marks that differ by shape as well as by colour.
MARKS = {"error": "✕", "warning": "▲", "note": "○", "": "✓"}

#: Marks label maps, which are no scans.
_LABELS_MARK = "▦"


@dataclass(frozen=True)
class ListedScan:
    """One line: the entry, its patient's key, what was found, why it is left out."""

    entry: ScanEntry
    patient: str
    problems: tuple[Problem, ...] = ()
    excluded: str = ""

    @property
    def severity(self) -> str:
        """The worst of the problems; "" where there is none."""
        return self.problems[0].severity if self.problems else ""

    @property
    def is_label_map(self) -> bool:
        """Whether it holds labels of a scan, and is not prepared as one."""
        return any(problem.code == "label-map" for problem in self.problems)

    @property
    def is_scan(self) -> bool:
        """Whether it can be read, and is an image."""
        return not (self.entry.error or self.is_label_map)


def line_of(scan: ListedScan) -> str:
    """Return what the list says of a scan, in three lines."""
    entry = scan.entry
    if entry.error:
        reason = entry.error.removeprefix(str(entry.path)).lstrip(": ")
        return f"✕ {shortened(entry.path.name, 34)}\n{reason.split('. ')[0]}\n"
    if scan.is_label_map:
        told = scan.problems[0].text.partition(",")[0]
        return f"{_LABELS_MARK} {shortened(entry.path.name, 34)}\n{told}\nnot prepared"
    about = entry.acquisition
    # "OT", other, is what DICOM calls it when nobody said; then the name must tell.
    kind = shortened(entry.path.name, 28) if about.modality == "OT" else about.modality
    words = (kind, about.body_part.lower(), about.description)
    what = " · ".join(word for word in words if word)
    head = f"{MARKS[scan.severity]} {short_key(scan.patient)} · {what}"
    return "\n".join((head, _size(entry), _remark(scan)))


def _size(entry: ScanEntry) -> str:
    if not has_scale(entry.problems):
        sides = [str(n) for n in reversed(entry.shape) if n > 1]
        return f"{'×'.join(sides)} pixels of unknown size"
    shape, spacings = _across_first(entry)
    size = "×".join(str(n) for n in shape)
    return f"{size} · {'×'.join(f'{mm:.3g}' for mm in spacings)} mm"


def _remark(scan: ListedScan) -> str:
    """Return the worst of what was found, and how much more there is."""
    if scan.excluded:
        return f"excluded: {scan.excluded}"
    told = [sentence(p.text) for p in scan.problems if p.code != NO_SPACING]
    if len(told) < 2:
        return "".join(told)
    worst = re.split(r"[;:.](?= |$)", told[0])[0]
    return f"{worst} (+{len(told) - 1})"


def sentence(text: str) -> str:
    """Return words that begin with a capital letter."""
    return text[:1].upper() + text[1:]


def _across_first(entry: ScanEntry) -> tuple[list[int], list[float]]:
    """Return size and spacing left-right, front-back, head-foot, as people say them."""
    axes = ("LR", "PA", "SI")
    letters = [axis for pair in axes for axis in entry.orientation if axis in pair]
    order = [entry.orientation.index(letter) for letter in letters]
    if sorted(order) != list(range(len(entry.shape))):
        order = list(range(min(len(entry.shape), len(entry.spacing_mm))))
    return [entry.shape[i] for i in order], [entry.spacing_mm[i] for i in order]


def tip_of(scan: ListedScan) -> str:
    """Return all that is known of a scan, for hovering."""
    entry = scan.entry
    parts = [str(entry.path), f"Patient {scan.patient}", entry.acquisition.description]
    if scan.excluded:
        parts.append(f"Excluded: {scan.excluded}")
    parts += [
        f"{MARKS[p.severity]} {sentence(p.text)} {p.action}".strip()
        for p in scan.problems
    ]
    return "\n".join(part for part in parts if part)
