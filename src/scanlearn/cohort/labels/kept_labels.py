"""Labels painted on a cohort's scans, kept in its folder: a file a scan.

``COHORT/painted/KEY.npz`` holds the labels on the grid they were painted on, what of
them counts as truth and the names of classes. A few older states lie beside it,
``KEY.1.npz`` the newest. The file names no patient and no source file.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.labels.known_slices import KnownSlices
from scanlearn.errors import BadLabels
from scanlearn.files import written_beside
from scanlearn.scans.geometry import Grid

FOLDER = "painted"

#: Older states that are kept, and the least time between two of them.
_VERSIONS = 4
_SECONDS_BETWEEN = 300.0

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class KeptFacts:
    """What is known of kept labels without reading them.

    Parameters
    ----------
    grid
        Where they are: the displayed grid of the scan.
    known
        What counts as truth.
    values
        Values that occur.
    classes
        Name of each value.
    layer
        Tells the layer that was kept from others on the same scan.
    name
        Of the layer.
    """

    grid: Grid
    known: KnownSlices
    values: tuple[int, ...]
    classes: Mapping[int, str]
    layer: str = ""
    name: str = ""


@dataclass(frozen=True, eq=False)
class KeptLabels:
    """What was painted on a scan: the labels, and all that is known of them."""

    labels: NDArray[np.integer[Any]]
    facts: KeptFacts


def kept_path(cohort: Path, key: str) -> Path:
    """Return the file of a scan's labels."""
    return cohort / FOLDER / f"{key}.npz"


def kept_keys(cohort: Path) -> list[str]:
    """Return the keys of the scans whose labels are kept."""
    files = (cohort / FOLDER).glob("*.npz")
    return sorted(f.stem for f in files if "." not in f.stem)


def keep_labels(cohort: Path, key: str, kept: KeptLabels) -> Path:
    """Write labels beside their file and rename them; now and then an older one stays.

    Raises
    ------
    OSError
        If the folder cannot be written; what was there stays.
    """
    path = kept_path(cohort, key)
    facts = kept.facts
    about = {
        "format": _FORMAT,
        "values": list(facts.values),
        "classes": {str(value): name for value, name in facts.classes.items()},
        "whole": facts.known.whole,
        "layer": facts.layer,
        "name": facts.name,
    }
    first, second, third = facts.known.along
    with written_beside(path) as draft:
        np.savez_compressed(
            draft,
            labels=kept.labels,
            affine=facts.grid.affine,
            known0=first,
            known1=second,
            known2=third,
            about=np.array(json.dumps(about)),
        )
        _make_room(path)
    return path


def read_kept(path: Path) -> KeptLabels:
    """Read labels that were kept.

    Raises
    ------
    BadLabels
        If the file cannot be read.
    """
    with _opened(path) as found:
        return KeptLabels(found["labels"], _facts(found))


def kept_facts(path: Path) -> KeptFacts:
    """Read what is known of kept labels; soon, for they stay packed.

    Raises
    ------
    BadLabels
        If the file cannot be read.
    """
    with _opened(path) as found:
        return _facts(found)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with np.load(path, allow_pickle=False) as found:
            yield found
    except (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile) as problem:
        raise BadLabels(
            f"{path} cannot be read ({problem})",
            expected="labels as the docks keep them",
            next_step="Take the file away; older states lie beside it",
        ) from None


def _facts(found: Any) -> KeptFacts:
    about = json.loads(str(found["about"]))
    first, second, third = (found[f"known{axis}"] for axis in range(3))
    return KeptFacts(
        Grid((first.size, second.size, third.size), found["affine"]),
        KnownSlices((first, second, third), bool(about["whole"])),
        tuple(map(int, about["values"])),
        {int(value): str(name) for value, name in about["classes"].items()},
        str(about["layer"]),
        str(about["name"]),
    )


def _make_room(path: Path) -> None:
    """Move the older states on, if the newest of them is old enough."""
    newest = _older(path, 1)
    if not path.exists():
        return
    if newest.exists() and time.time() - newest.stat().st_mtime < _SECONDS_BETWEEN:
        return
    for number in range(_VERSIONS, 1, -1):
        before = _older(path, number - 1)
        if before.exists():
            os.replace(before, _older(path, number))
    # The current state stays in its place until the new one takes it.
    with written_beside(newest) as copy:
        copy.write_bytes(path.read_bytes())


def _older(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}.{number}.npz")
