"""Labels that a cohort keeps: what is written comes back, and older states stay."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from scanlearn.cohort.labels.kept_labels import (
    KeptFacts,
    KeptLabels,
    keep_labels,
    kept_facts,
    kept_keys,
    kept_path,
    read_kept,
)
from scanlearn.cohort.labels.known_slices import KnownSlices
from scanlearn.errors import BadLabels
from scanlearn.scans.geometry import Grid

SHAPE = (4, 5, 3)


def labels_of(value: int, *, classes: dict[int, str] | None = None) -> KeptLabels:
    known = KnownSlices.none(SHAPE).marked(0, [1]).marked(2, [0, 2])
    grid = Grid(SHAPE, np.diag([2.0, 1.0, 0.5, 1.0]))
    facts = KeptFacts(grid, known, (value,), classes or {value: "lung"}, "abc", "mine")
    return KeptLabels(np.full(SHAPE, value, dtype=np.uint8), facts)


@settings(max_examples=25, deadline=None)
@given(
    arrays(np.uint16, SHAPE, elements=st.integers(0, 400)),
    st.dictionaries(st.integers(1, 254), st.text(max_size=8), max_size=3),
    st.booleans(),
)
def test_what_is_kept_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    labels: np.ndarray,
    classes: dict[int, str],
    whole: bool,
) -> None:
    cohort = tmp_path_factory.mktemp("cohort")
    before = labels_of(1, classes=classes or None)
    known = KnownSlices(before.facts.known.along, whole)
    facts = KeptFacts(before.facts.grid, known, (1, 2), classes, "abc", "P · mine")
    path = keep_labels(cohort, "P-1-2", KeptLabels(labels, facts))
    again = read_kept(path)
    assert np.array_equal(again.labels, labels)
    assert again.labels.dtype == labels.dtype
    assert again.facts.grid.matches(facts.grid)
    assert np.array_equal(again.facts.known.mask(), known.mask())
    told = kept_facts(path)
    assert (told.values, told.classes) == ((1, 2), classes)
    assert (told.layer, told.name) == ("abc", "P · mine")
    assert told.known.whole == whole
    assert kept_keys(cohort) == ["P-1-2"]


def states_of(cohort: Path) -> list[Path]:
    """Return the states of a scan's labels, the newest first: K.npz, K.1.npz, …"""
    current = kept_path(cohort, "K")
    return [current, *sorted(current.parent.glob("K.*.npz"))]


def test_older_states_stay_but_not_one_a_stroke(tmp_path: Path) -> None:
    for value in (1, 2, 3):
        keep_labels(tmp_path, "K", labels_of(value))
    states = states_of(tmp_path)
    # The first stroke is soon followed by others: one state before is kept of them.
    assert [read_kept(path).labels.max() for path in states] == [3, 1]
    for value in range(4, 10):
        for path in states:
            long_ago = time.time() - 600
            os.utime(path, (long_ago, long_ago))
        keep_labels(tmp_path, "K", labels_of(value))
        states = states_of(tmp_path)
    assert [read_kept(path).labels.max() for path in states] == [9, 8, 7, 6, 5]
    assert kept_keys(tmp_path) == ["K"]


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = keep_labels(tmp_path, "K", labels_of(1))

    def full(*_parts: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    with pytest.raises(OSError, match="No space"):
        keep_labels(tmp_path, "K", labels_of(2))
    assert read_kept(path).labels.max() == 1
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_a_damaged_file_is_told(tmp_path: Path, content: bytes) -> None:
    path = kept_path(tmp_path, "K")
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(BadLabels, match="older states lie beside it"):
        read_kept(path)


def test_a_file_names_no_source(tmp_path: Path) -> None:
    content = keep_labels(tmp_path, "K", labels_of(1)).read_bytes()
    assert str(tmp_path).encode() not in content
