"""Classes of many files are joined by name, whatever their numbers."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.errors import BadLabels
from scanlearn.tasks.shared.class_names import FileClasses, folded, join_classes

NAMES = ["heart", "liver", "Lunge links", "cœur", "tumör", "GTV-1"]


def spelled(name, how):
    """Return a name in other case, blanks or accents."""
    if how == 0:
        return name
    if how == 1:
        return name.upper()
    if how == 2:
        return f" {name.replace(' ', '_')} "
    if how == 3:
        return unicodedata.normalize("NFD", name)
    plain = unicodedata.normalize("NFD", name)
    return "".join(c for c in plain if not unicodedata.combining(c))


@st.composite
def cohorts(draw):
    files = []
    for number in range(draw(st.integers(1, 5))):
        names = draw(st.permutations(NAMES))[: draw(st.integers(1, 6))]
        values = draw(st.permutations(range(1, 300)))[: len(names)]
        named = {
            value: spelled(name, draw(st.integers(0, 4)))
            for value, name in zip(values, names, strict=True)
        }
        voxels = {value: 100 + value for value in named if draw(st.booleans())}
        files.append(FileClasses(f"f{number}", voxels, named))
    return files


@settings(max_examples=150, deadline=None)
@given(cohorts(), st.randoms())
def test_the_same_name_is_the_same_class(files, random):
    joined = join_classes(files, {})
    value_of = {}
    for one, values in zip(files, joined.values, strict=True):
        for own in one.voxels:
            key = folded(one.names[own])
            assert value_of.setdefault(key, values[own]) == values[own]
    assert len(set(value_of.values())) == len(value_of)
    assert all(1 <= value <= 254 for value in value_of.values())
    assert {folded(name): v for v, name in joined.names.items()} == value_of
    spellings = {}
    for one in files:
        for name in one.names.values():
            spellings.setdefault(folded(name), set()).add(name)
    for key in value_of:
        told = any(
            "differ in case" in r and joined.names[value_of[key]] in r
            for r in joined.remarks
        )
        assert told == (len(spellings[key]) > 1)
    shuffled = list(files)
    random.shuffle(shuffled)
    assert join_classes(shuffled, {}).names == joined.names


@given(st.lists(st.dictionaries(st.integers(1, 254), st.integers(1, 9)), min_size=1))
def test_numbers_alone_join_where_no_names_exist(counts):
    files = [FileClasses(f"f{n}", one, {}) for n, one in enumerate(counts)]
    joined = join_classes(files, {1: "lung"})
    assert all(v == own for one in joined.values for own, v in one.items())
    for value, name in joined.names.items():
        assert name == ("lung" if value == 1 else f"class {value}")


def test_numbers_beside_names_are_refused_unless_they_are_named():
    files = [
        FileClasses("a.dcm", {1: 50, 2: 60}, {1: "liver", 2: "heart"}),
        FileClasses("b.nii.gz", {1: 70}, {}),
    ]
    with pytest.raises(BadLabels, match=r"b\.nii\.gz has numbers without names"):
        join_classes(files, {})
    joined = join_classes(files, {1: "Heart", 2: "liver"})
    assert joined.names == {1: "Heart", 2: "liver"}
    assert joined.values == ({1: 2, 2: 1}, {1: 1})


def test_names_that_are_numbers_take_the_listed_name_of_their_number():
    files = [FileClasses("a", {1: 50}, {1: "Segment_1"})]
    joined = join_classes(files, {1: "lung"})
    assert joined.names == {1: "lung"}
    assert "by its number" in joined.remarks[0]
    # A name that says something is never renamed.
    files = [FileClasses("a", {1: 50}, {1: "heart"})]
    assert join_classes(files, {1: "lung"}).names == {2: "heart"}


def test_empty_and_doubled_regions_are_told():
    files = [FileClasses("a", {1: 5, 2: 6}, {1: "spot", 2: "spot", 3: "couch"})]
    joined = join_classes(files, {})
    assert joined.values == ({1: 1, 2: 1},)
    assert "a: 2 regions called spot are one class" in joined.remarks
    assert "region couch is empty in a" in joined.remarks


def test_letters_of_other_scripts_keep_their_marks():
    assert folded("か") != folded("が")
    assert folded("É t-é") == folded("ete")
    assert folded("__") == "__"
