"""Whether the slices of one volume agree on what their values mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from scanlearn.scans.dicom.slice_header import SliceHeader
from scanlearn.scans.scan import Problem

_LOOK = "Look whether the values go on from slice to slice"


def mixed_scales(slices: Sequence[SliceHeader]) -> tuple[list[Problem], str]:
    """Return what is odd about the rescaling of slices, and why they must not be read.

    MR and PET are often scaled slice by slice; a CT has one scale.
    """
    rules = Counter(header.rule for header in slices)
    without = [header for header in slices if not header.rule.is_stated]
    if 0 < len(without) < len(slices):
        first = min(header.path.name for header in without)
        return [], (
            f"{len(without)} of {len(slices)} slices state no rescale slope and "
            f"intercept ({first} is one), the others do"
        )
    found = [
        Problem("rescale", "warning", f"{slices[0].path.name} {remark}", _LOOK)
        for remark in dict.fromkeys(rule.remark for rule in rules if rule.remark)
    ]
    is_ct = slices[0].series.acquisition.modality == "CT"
    if len(rules) > 1 and is_ct:
        scales = dict.fromkeys(f"{r.slope:g} and {r.intercept:g}" for r in rules)
        listed = "; ".join(list(scales)[:3]) + (" …" if len(scales) > 3 else "")
        text = f"slices of this CT have several rescale slopes and intercepts: {listed}"
        found.append(Problem("rescale_differs", "warning", text, _LOOK))
    return found, ""
