"""The source scans of a cohort, by their keys, as layers to label."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scanlearn.errors import BadScan
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import LayerData


def read_source(cohort: Path, key: str) -> LayerData:
    """Read the source of a cohort's scan as an image layer; slow.

    Raises
    ------
    BadScan
        If the source is not where it was when the cohort was prepared.
    """
    from scanlearn.cohort.catalogue import Cohort
    from scanlearn.cohort.preparation.plan import source_of
    from scanlearn.scans.find import find_scans

    opened = Cohort(cohort)
    source, uneven = opened.sources().get(key), opened.settings.config.on_uneven
    if source is None or not Path(source.path).exists():
        where = "nowhere noted" if source is None else f"no longer at {source.path}"
        raise BadScan(
            f"The source of {key} is {where}",
            expected="the scans where they were when the cohort was prepared",
            next_step="Put them back, or open the scan under Scans",
        )
    volume = int(source.volume) if source.volume else None
    for entry in find_scans(Path(source.path)):
        found = replace(entry, volume=volume)
        if source_of(found) == source:
            return read_entry(found, on_uneven=uneven)
    raise BadScan(
        f"{source.path} no longer holds the scan {key}",
        expected="the files as they were when the cohort was prepared",
        next_step="Prepare the cohort again",
    )
