"""Label maps that lie among scans: told from scans, and which scan they belong to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from scanlearn.cohort.labels.names import is_label_name, scan_stem_of, stem_of
from scanlearn.cohort.preparation.spacing import UNTOLD
from scanlearn.errors import BadLabels
from scanlearn.scans.formats import FORMATS
from scanlearn.scans.labels.label_arrays import looks_like_labels
from scanlearn.scans.labels.read_labels import read_label_names
from scanlearn.scans.scan import Problem, Scan, ScanEntry
from scanlearn.scans.tables.named_files import same_name

#: Label maps named in a message.
_FEW = 4


def is_told_label_map(entry: ScanEntry) -> bool:
    """Whether the name or the header of a file says that it holds labels."""
    if entry.kind == "picture":
        return _is_mask_of_picture(entry.path)
    if entry.kind not in UNTOLD:
        return False
    return is_label_name(entry.path) or _names_classes(entry.path)


def is_label_map(scan: Scan, kind: str, *, beside_scan: bool = False) -> bool:
    """Whether a file holds classes, not an image: masks often lie beside scans.

    Parameters
    ----------
    scan, kind
        As read, and its format.
    beside_scan
        Whether another file has the same grid.
    """
    if kind not in UNTOLD:
        return False
    if beside_scan:
        return looks_like_labels(scan.voxels, beside_scan=True)
    return scan.acquisition.units != "HU" and looks_like_labels(scan.voxels)


def beside_scans(entries: Sequence[ScanEntry]) -> list[bool]:
    """Say of each entry whether another one has the same grid, in any axis order."""
    counts = Counter(_layout(entry) for entry in entries if not entry.error)
    return [not entry.error and counts[_layout(entry)] > 1 for entry in entries]


def owner_of(mask: ScanEntry, scans: Sequence[ScanEntry]) -> str:
    """Return the name of the scan that a label map belongs to; empty if unclear.

    That is the scan of its name, else the only one of its grid: in its own folder, or
    anywhere.
    """
    stem = same_name(scan_stem_of(mask.path))
    others = [scan for scan in scans if scan.path != mask.path and not scan.error]
    alike = [scan for scan in others if _layout(scan) == _layout(mask)]
    for group in (
        [scan for scan in others if same_name(stem_of(scan.path)) == stem],
        [scan for scan in alike if _folder(scan) == mask.path.parent],
        alike,
    ):
        if len(group) == 1:
            return group[0].path.name
    return ""


def label_map_problem(owner: str) -> Problem:
    """Return what is said of a label map in a list of scans."""
    of = f" of {owner}" if owner else ""
    return Problem(
        "label-map",
        "note",
        f"A label map{of}, not a scan: it is passed over.",
        "Give it to Fine-tune as labels.",
    )


def label_maps_told(owners: Mapping[Path, str]) -> str:
    """Return one line on label maps that were not prepared; empty for none."""
    if not owners:
        return ""
    some = [
        path.name + (f" (of {owner})" if owner else "")
        for path, owner in list(owners.items())[:_FEW]
    ]
    more = f" and {len(owners) - _FEW} more" if len(owners) > _FEW else ""
    many = f"{len(owners)} label maps are" if len(owners) > 1 else "1 label map is"
    return (
        f"{many} among the scans, not prepared: {', '.join(some)}{more}; give them to "
        "'scanlearn finetune --labels' or Fine-tune"
    )


def _is_mask_of_picture(path: Path) -> bool:
    """Whether a picture is named like the mask of another one beside it."""
    scan = scan_stem_of(path)
    endings = (end for one in FORMATS if one.kind == "picture" for end in one.endings)
    pictures = (path.with_name(scan + ending) for ending in endings)
    return is_label_name(path) and any(picture.is_file() for picture in pictures)


def _names_classes(path: Path) -> bool:
    try:
        return bool(read_label_names(path))
    except BadLabels:
        return False


def _layout(entry: ScanEntry) -> tuple[tuple[int, float], ...]:
    """Return sizes and spacings without their order: a mask may be turned."""
    spacing = (round(mm, 2) for mm in entry.spacing_mm)
    return tuple(sorted(zip(entry.shape[:3], spacing, strict=False)))


def _folder(scan: ScanEntry) -> Path:
    """Return where a file lies, or the folder of a series itself."""
    return scan.path if scan.path.is_dir() else scan.path.parent
