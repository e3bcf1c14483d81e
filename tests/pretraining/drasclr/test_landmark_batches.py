"""The block schedule, and that a loader delivers what was asked for."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from scanlearn.anatomy.landmarks import Atlas
from scanlearn.anatomy.neighbours import nearest_landmarks
from scanlearn.cohort.atlas.atlas_on_scans import carry_atlas, choose_atlas
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.drasclr import LandmarkConfig
from scanlearn.pretraining.drasclr.landmark_batches import (
    LandmarkBatches,
    LandmarkPlan,
    PatchRequest,
)
from scanlearn.pretraining.drasclr.patches import PatchData, collate


@st.composite
def plans(draw: st.DrawFn) -> LandmarkPlan:
    counts = draw(st.lists(st.integers(1, 3), min_size=1, max_size=9))
    numbers = iter(range(sum(counts)))
    landmarks = draw(st.integers(1, 12))
    return LandmarkPlan(
        landmarks=landmarks,
        scans_of=tuple(tuple(itertools.islice(numbers, n)) for n in counts),
        groups=draw(st.integers(1, landmarks)),
        batch=draw(st.integers(1, len(counts))),
        visit=draw(st.integers(1, 4)),
        seed=draw(st.integers(0, 5)),
    )


@given(plans(), st.integers(0, 3))
def test_every_landmark_comes_once_an_epoch_and_stays_for_a_visit(plan, epoch) -> None:
    visits = -(-plan.landmarks // plan.groups)
    seen: Counter[int] = Counter()
    for visit in range(epoch * visits, (epoch + 1) * visits):
        steps = range(visit * plan.visit, (visit + 1) * plan.visit)
        chosen = {tuple(plan.landmarks_at(step)) for step in steps}
        assert len(chosen) == 1
        landmarks = chosen.pop()
        assert len(set(landmarks)) == plan.groups
        seen.update(landmarks)
    assert set(seen) == set(range(plan.landmarks))
    # Only the last visit of an epoch is filled up with landmarks that were there.
    assert seen.total() - plan.landmarks == -plan.landmarks % plan.groups
    assert max(seen.values()) <= 2


@given(plans(), st.integers(0, 10))
def test_no_patient_is_twice_in_a_step_or_a_round(plan, number) -> None:
    hands = len(plan.scans_of) // plan.batch
    dealt: list[int] = []
    for step in range(number * hands, (number + 1) * hands):
        patients = plan.patients_at(step)
        assert len(patients) == plan.batch
        dealt += patients
    assert len(set(dealt)) == len(dealt)
    assert set(dealt) <= set(range(len(plan.scans_of)))


@given(plans(), st.integers(0, 30), st.integers(1, 4))
def test_processes_share_the_patients_at_the_same_landmarks(plan, step, world) -> None:
    patient_of = {s: p for p, scans in enumerate(plan.scans_of) for s in scans}
    dealt: list[int] = []
    for rank in range(world):
        requests = plan.requests_at(step, rank=rank, world=world)
        mine = plan.batch // world
        assert len(requests) == plan.groups * mine
        scans = [request.scan for request in requests]
        landmarks = [request.landmark for request in requests]
        if mine:
            assert landmarks[::mine] == plan.landmarks_at(step)
            assert scans == scans[:mine] * plan.groups
        dealt += [patient_of[scan] for scan in scans[:mine]]
    assert len(set(dealt)) == len(dealt)
    assert set(dealt) <= set(plan.patients_at(step))
    if plan.batch % world == 0:
        assert sorted(dealt) == sorted(plan.patients_at(step))


def test_over_time_all_patients_and_all_their_scans_come() -> None:
    plan = LandmarkPlan(
        landmarks=3, scans_of=((0, 1), (2,), (3, 4, 5)), groups=1, batch=2, visit=2,
        seed=0,
    )  # fmt: skip
    steps = [plan.requests_at(step, rank=0, world=1) for step in range(60)]
    scans = Counter(request.scan for requests in steps for request in requests)
    assert set(scans) == set(range(6))
    patients = Counter(p for step in range(60) for p in plan.patients_at(step))
    assert min(patients.values()) > 25
    orders = {tuple(plan.landmarks_at(6 * e + 2 * v)[0] for v in range(3)) for e in
              range(10)}  # fmt: skip
    assert len(orders) > 1


def test_another_seed_gives_another_order() -> None:
    def order(seed: int) -> list[PatchRequest]:
        plan = LandmarkPlan(
            landmarks=50, scans_of=tuple((n,) for n in range(20)), groups=2, batch=8,
            visit=1, seed=seed,
        )  # fmt: skip
        return plan.requests_at(3, rank=0, world=1)

    assert order(0) == order(0)
    assert order(0) != order(1)


@pytest.mark.parametrize(
    "wrong", [{"batch": 3}, {"batch": 0}, {"groups": 5}, {"groups": 0}, {"visit": 0}]
)
def test_impossible_plans_are_refused(wrong) -> None:
    right = {"landmarks": 4, "groups": 1, "batch": 2, "visit": 1, "seed": 0}
    with pytest.raises(ValueError, match=r"patients from|at least 1"):
        LandmarkPlan(scans_of=((0,), (1,)), **{**right, **wrong})


@pytest.fixture(scope="module")
def source(tiny_cohort: Path) -> tuple[PatchData, LandmarkPlan]:
    """Return small patches of the tiny cohort and a plan for them."""
    cohorts = WorkingCohorts([tiny_cohort], None)
    atlas: Atlas = choose_atlas(cohorts, LandmarkConfig(step_mm=40, at_most=7))
    cohorts = carry_atlas(cohorts, atlas).cohorts
    plan = LandmarkPlan(
        landmarks=len(atlas.landmarks),
        scans_of=tuple(tuple(scans) for scans in cohorts.patients().values()),
        groups=2,
        batch=3,
        visit=2,
        seed=0,
    )
    return PatchData(cohorts, atlas, side=8), plan


def load(source, workers: int, first: int = 0, steps: int = 9) -> list[dict]:
    data, plan = source
    loader = DataLoader(
        data,
        batch_sampler=LandmarkBatches(plan, first),
        collate_fn=collate,
        num_workers=workers,
    )
    return list(itertools.islice(loader, steps))


# torch warns where there are fewer cores than workers.
@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 1, 4])
def test_a_loader_gives_the_landmark_that_was_asked_for(source, workers) -> None:
    """T7: with 0, 1 and 4 workers."""
    data, plan = source
    batches = load(source, workers)
    assert len({tuple(b["landmarks"].tolist()) for b in batches}) > 2
    for step, batch in enumerate(batches):
        assert batch["landmarks"].tolist() == plan.landmarks_at(step)
        assert batch["voxels"].shape == (2, 3, 1, 8, 8, 8)
        assert batch["patients"].tolist() == [plan.patients_at(step)] * 2
        # Read again here, one by one: the voxels too are of that landmark and scan.
        requests = plan.requests_at(step, rank=0, world=1)
        flat = batch["voxels"].flatten(0, 1)
        for voxels, request in zip(flat, requests, strict=True):
            assert torch.equal(voxels[0], data[request].voxels)


def test_batches_are_the_same_with_any_workers_and_after_a_resume(source) -> None:
    alone = load(source, 0)
    for other in (load(source, 2), load(source, 0, first=0)):
        for one, two in zip(alone, other, strict=True):
            assert all(torch.equal(one[name], two[name]) for name in one)
    resumed = load(source, 0, first=5, steps=4)
    assert all(
        torch.equal(one["voxels"], two["voxels"])
        for one, two in zip(alone[5:], resumed, strict=True)
    )


def test_patches_of_different_landmarks_differ(source) -> None:
    data, plan = source
    patches = [data[PatchRequest(n, 0)].voxels for n in range(plan.landmarks)]
    assert len({np.asarray(p).tobytes() for p in patches}) == plan.landmarks


def test_neighbours_are_drawn_anew_each_step_and_repeat_for_the_seed() -> None:
    grid = np.stack(np.meshgrid(*[np.arange(3) * 26.0] * 3), axis=-1).reshape(-1, 3)
    plan = LandmarkPlan(
        landmarks=27, scans_of=((0,), (1,)), groups=3, batch=2, visit=40, seed=0,
        neighbours=nearest_landmarks(grid, 2),
    )  # fmt: skip
    drawn = [plan.neighbours_at(step) for step in range(40)]
    assert drawn == [plan.neighbours_at(step) for step in range(40)]
    for landmark, rows in zip(
        plan.landmarks_at(0), zip(*drawn, strict=True), strict=True
    ):
        distance = np.linalg.norm(grid[list(rows)] - grid[landmark], axis=-1)
        np.testing.assert_allclose(distance, 26)  # all are one step away
        faces = np.linalg.norm(grid - grid[landmark], axis=-1) == 26
        assert set(np.ravel(rows)) == set(np.flatnonzero(faces))
    requests = plan.requests_at(5, rank=0, world=1)
    order = [*plan.landmarks_at(5), *np.ravel(plan.neighbours_at(5))]
    assert [r.landmark for r in requests] == list(np.repeat(order, 2))
    assert [r.scan for r in requests] == [r.scan for r in requests[:2]] * 9
