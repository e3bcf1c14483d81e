"""Scans that a run would have labelled next, read for a list with pictures."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.gui.scans.thumbnails import grey_picture
from scanlearn.gui.viewer.layers import short_key


@dataclass(frozen=True, eq=False)
class SuggestedScan:
    """One line of the list.

    Parameters
    ----------
    key
        Of the scan in its cohort; empty where nothing is suggested.
    text
        What is said of it.
    picture
        Its middle axial slice.
    """

    key: str
    text: str
    picture: NDArray[np.uint8] | None = None


#: What is listed where every patient has labels.
NONE = SuggestedScan("", "Every patient of the cohort has labels")


def read_suggested(file: Path, cohort: Path) -> list[SuggestedScan]:
    """Read what ``scanlearn suggest --out`` wrote; slow, for the pictures."""
    from scanlearn.cohort.catalogue import Cohort

    opened = Cohort(cohort)
    found = []
    for one in json.loads(file.read_text(encoding="utf-8")):
        record, voxels = opened.record(one["key"]), opened.voxels(one["key"])
        middle = np.asarray(voxels[voxels.shape[0] // 2])
        picture = grey_picture(middle, hu=record.intensity.units == "HU")
        text = f"{short_key(record.patient)} · doubt {one['doubt']:.2f}\n{one['key']}"
        found.append(SuggestedScan(one["key"], text, picture))
    return found or [NONE]
