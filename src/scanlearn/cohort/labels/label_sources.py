"""Labels checked against the scan they are for: series, patient, frame of reference."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from scanlearn.cohort.layout import Source
from scanlearn.errors import BadLabels, BadScan
from scanlearn.scans.find import find_scans
from scanlearn.scans.labels.label_arrays import Note
from scanlearn.scans.labels.label_reference import (
    Reference,
    read_reference,
    source_reference,
)

#: Files of a scan that are looked at before all are.
_FIRST = 3

_TOLD = "labels name another {facts} than their scan's"


def check_source(file: Path, source: Source, *, ignore: bool) -> tuple[Note, ...]:
    """Compare what a DICOM file of labels was made on with the scan it is for.

    Where files of the scan cannot be read any more, its series alone is compared.

    Parameters
    ----------
    file
        The labels; other formats name nothing, so nothing is found.
    source
        Of the scan.
    ignore
        Tell a contradiction instead of refusing it.

    Returns
    -------
    tuple
        What is told: a contradiction that is ignored, or one of labels that name no
        series at all, which says too little to refuse them.

    Raises
    ------
    BadLabels
        If the labels name another series, patient or frame of reference.
    """
    meant = read_reference(file)
    if meant == Reference():
        return ()
    series = source.series.split("#")[0]
    stated = Reference(frozenset([series] if series else []))
    some = _some_files(Path(source.path))
    facts = stated | source_reference(some, series=series)
    if not meant.contradictions(facts):
        return ()
    facts = stated | source_reference(_all_files(source))
    found = meant.contradictions(facts)
    if not found:
        return ()
    if ignore or not meant.series:
        return (Note(_TOLD.format(facts=" and ".join(found))),)
    raise BadLabels(
        f"{file.name} was made on another scan than the one it is for: its "
        f"{' and its '.join(found)} differ{'s' * (len(found) == 1)} from those of "
        f"{Path(source.path).name}",
        expected="labels that refer to the scan of their name",
        next_step="Give it the name of its own scan, or say --ignore-reference (in the "
        "dock: 'Ignore reference') if you know that they belong together.",
    )


def _some_files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
        return
    number = 0
    for file in sorted(path.rglob("*")) if path.is_dir() else []:
        if file.is_file() and number < _FIRST:
            number += 1
            yield file


def _all_files(source: Source) -> tuple[Path, ...]:
    try:
        entries = find_scans(Path(source.path))
    except BadScan:
        return ()
    return tuple(
        file
        for entry in entries
        if entry.series_uid == source.series
        for file in entry.files
    )
