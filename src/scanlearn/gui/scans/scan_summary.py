"""One line on all scans of the list."""

from __future__ import annotations

from collections.abc import Sequence

from scanlearn.gui.scans.scan_list import ListedScan


def summary(scans: Sequence[ListedScan]) -> str:
    """Return ``"128 scans · 3 warnings · 1 excluded · 1 unreadable"``."""
    good = [scan for scan in scans if not scan.entry.error]
    counts = {
        "with errors": sum(1 for s in good if s.severity == "error"),
        "warnings": sum(1 for s in good if s.severity == "warning"),
        "excluded": sum(1 for s in good if s.excluded),
        "unreadable": len(scans) - len(good),
    }
    parts = [f"{len(good):,} scan{'s' * (len(good) != 1)}"]
    for what, count in counts.items():
        if count:
            word = "warning" if (what, count) == ("warnings", 1) else what
            parts.append(f"{count:,} {word}")
    return " · ".join(parts)
