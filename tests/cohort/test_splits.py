"""No patient is ever on two sides."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.cohort.splits import folds, split_by_patient
from scanlearn.errors import BadConfig


@dataclass(frozen=True)
class One:
    patient: str


cohorts = st.lists(st.sampled_from([f"P-{n:02}" for n in range(12)]), min_size=1).map(
    lambda patients: [One(p) for p in patients]
)
shares = (
    st.lists(st.integers(0, 10), min_size=1, max_size=4)
    .filter(any)
    .map(lambda ns: {f"part{k}": n / sum(ns) for k, n in enumerate(ns)})
)


@settings(deadline=None)
@given(cohorts, shares, st.integers(0, 2**32))
def test_parts_share_no_patient_and_cover_all(records, fractions, seed) -> None:
    parts = split_by_patient(records, fractions, seed=seed)
    seen = sorted(n for part in parts.values() for n in part)
    assert seen == list(range(len(records)))
    patients = [{records[n].patient for n in part} for part in parts.values()]
    everyone = {record.patient for record in records}
    assert sum(map(len, patients)) == len(everyone)
    asked = [name for name, share in fractions.items() if share > 0]
    if len(everyone) >= len(asked):
        assert all(parts[name] for name in asked)
    for (name, share), there in zip(fractions.items(), patients, strict=True):
        if share == 0:
            assert not parts[name]
        elif len(everyone) >= 10 * len(asked):
            assert abs(len(there) - share * len(everyone)) <= len(asked)


@settings(deadline=None)
@given(cohorts, st.integers(0, 2**32), st.randoms())
def test_the_order_of_records_is_no_matter(records, seed, random) -> None:
    fractions = {"train": 0.7, "val": 0.3}
    shuffled = records.copy()
    random.shuffle(shuffled)
    one = split_by_patient(records, fractions, seed=seed)
    two = split_by_patient(shuffled, fractions, seed=seed)
    assert {records[n].patient for n in one["val"]} == {
        shuffled[n].patient for n in two["val"]
    }


@settings(deadline=None)
@given(cohorts, st.integers(2, 6), st.integers(0, 99))
def test_folds_test_everybody_once(records, count, seed) -> None:
    patients = {record.patient for record in records}
    if count > len(patients):
        with pytest.raises(BadConfig):
            folds(records, count, seed=seed)
        return
    made = folds(records, count, seed=seed)
    tested = sorted(n for _, test in made for n in test)
    assert tested == list(range(len(records)))
    for train, test in made:
        assert train
        assert test
        assert not {records[n].patient for n in train} & {
            records[n].patient for n in test
        }


def test_seeds_differ_and_bad_shares_are_refused() -> None:
    records = [One(f"P-{n}") for n in range(40)]
    halves = {"a": 0.5, "b": 0.5}
    splits = {tuple(split_by_patient(records, halves, seed=s)["a"]) for s in range(5)}
    assert len(splits) == 5
    for bad in ({"a": 0.5}, {"a": 1.5, "b": -0.5}, {}):
        with pytest.raises(BadConfig):
            split_by_patient(records, bad, seed=0)
