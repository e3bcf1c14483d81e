"""One line on all scans of the list."""

from __future__ import annotations

from collections.abc import Sequence

from scanlearn.gui.scans.listed_scan import ListedScan


def summary(scans: Sequence[ListedScan]) -> str:
    """Return ``"128 scans · 3 warnings · 1 excluded · 1 unreadable"``.

    Label maps among the scans are counted for themselves.
    """
    good = [scan for scan in scans if scan.is_scan]
    masks = sum(scan.is_label_map for scan in scans)
    counts = {
        "with errors": sum(1 for s in good if s.severity == "error"),
        "warnings": sum(1 for s in good if s.severity == "warning"),
        "excluded": sum(1 for s in good if s.excluded),
        "unreadable": len(scans) - len(good) - masks,
        "label maps": masks,
    }
    parts = [f"{len(good):,} scan{'s' * (len(good) != 1)}"]
    for what, count in counts.items():
        if count:
            plural = what in ("warnings", "label maps")
            word = what.removesuffix("s") if plural and count == 1 else what
            parts.append(f"{count:,} {word}")
    return " · ".join(parts)
