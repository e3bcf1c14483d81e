"""Which scan of a cohort a layer was drawn on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanlearn.errors import BadLabels
from scanlearn.gui.viewer.layers import Origin

if TYPE_CHECKING:
    from scanlearn.cohort.catalogue import Cohort


def scan_key_of(origin: Origin, layer: str, cohort: Cohort) -> str:
    """Return the key of the cohort's scan that a layer was drawn on.

    Raises
    ------
    BadLabels
        If the cohort was not prepared from that scan.
    """
    volume = "" if origin.volume is None else str(origin.volume)
    wanted = (str(origin.source), origin.series, volume)
    for key, source in cohort.sources().items():
        if (source.path, source.series, source.volume) == wanted:
            return key
    raise BadLabels(
        f"The layer '{layer}' was painted on {origin.source}, which is not in "
        f"the cohort {cohort.path.name}",
        expected="labels on scans of the chosen cohort",
        next_step="Choose another cohort, or prepare this scan into it",
    )
