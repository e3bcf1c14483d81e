"""No patient is ever on two sides."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from scanlearn.tasks.shared.held_out import hold_out


@dataclass(frozen=True)
class One:
    patient: str
    split: str = ""


patients = st.sampled_from([f"P-{n:02}" for n in range(12)])
cohorts = st.lists(patients, min_size=1).map(lambda some: [One(p) for p in some])


@given(cohorts, st.floats(0, 0.9), st.integers(0, 2**32), st.integers(1, 12))
def test_sides_share_no_patient_and_cover_all(items, share, seed, enough) -> None:
    train, out = hold_out(items, share=share, seed=seed, enough=enough)
    assert sorted(one.patient for one in train + out) == sorted(
        one.patient for one in items
    )
    everyone = {one.patient for one in items}
    held = {one.patient for one in out}
    assert not held & {one.patient for one in train}
    if len(everyone) < enough or share == 0:
        assert not held
    else:
        assert len(held) == max(1, round(share * len(everyone)))


@given(cohorts, st.integers(0, 2**32), st.randoms())
def test_the_order_of_items_is_no_matter(items, seed, random) -> None:
    shuffled = items.copy()
    random.shuffle(shuffled)
    sides = [
        hold_out(some, share=0.3, seed=seed, enough=2) for some in (items, shuffled)
    ]
    one, two = ({item.patient for item in out} for _, out in sides)
    assert one == two


def test_a_table_says_who_is_held_out() -> None:
    items = [One("a", "val"), One("a"), One("b", "train"), One("c")]
    train, out = hold_out(items, share=0.5, seed=0, enough=1)
    assert [one.patient for one in out] == ["a", "a"]
    assert [one.patient for one in train] == ["b", "c"]
    kept = [One("a", "train"), *(One(f"P-{n}") for n in range(9))]
    for seed in range(20):
        _, out = hold_out(kept, share=0.9, seed=seed, enough=1)
        assert "a" not in {one.patient for one in out}


def test_seeds_differ() -> None:
    items = [One(f"P-{n}") for n in range(40)]
    drawn = {
        tuple(one.patient for one in hold_out(items, share=0.5, seed=s, enough=1)[1])
        for s in range(5)
    }
    assert len(drawn) == 5
