from __future__ import annotations

from itertools import chain

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from scanlearn.features.folds import usable_folds


@settings(deadline=None, max_examples=60)
@given(
    places=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=20),
    wanted=st.integers(2, 6),
)
def test_so_many_folds_can_always_be_made(places, wanted) -> None:
    strata = [stratum for stratum, _ in places]
    patients = [f"P{patient}" for _, patient in places]
    count = usable_folds(wanted, strata, patients)
    assert count <= wanted
    if count < 2:
        few = len(set(patients)) < 2
        assert few or max(map(strata.count, strata)) < 2
        return
    rows = np.zeros((len(places), 1))
    tested = [
        test.tolist()
        for _, test in StratifiedGroupKFold(count).split(rows, strata, patients)
    ]
    assert sorted(chain.from_iterable(tested)) == list(range(len(places)))
