"""Which patches make a batch: the landmark is chosen here, not in the data set."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler

from scanlearn.anatomy.neighbours import Neighbours
from scanlearn.randomness import numpy_generator


@dataclass(frozen=True)
class PatchRequest:
    """One patch to read: a landmark and the number of a scan."""

    landmark: int
    scan: int


@dataclass(frozen=True)
class LandmarkPlan:
    """The block schedule as a pure function of the step.

    A *visit* stays on the same ``groups`` landmarks for ``visit`` steps before it goes
    on, so that the keys in their queues are recent: with a new landmark every step, old
    keys give themselves away by the encoder's drift, and the loss falls without
    anything being learned. Every epoch visits all landmarks once in a fresh order.

    Parameters
    ----------
    landmarks
        How many there are.
    scans_of
        For each patient, the numbers of that patient's scans.
    groups
        Landmarks a step.
    batch
        Patients a landmark and step; all different.
    visit
        Steps on one choice of landmarks.
    seed
        Of the run.
    neighbours
        Candidates of each landmark; None where neighbours are not compared.
    """

    landmarks: int
    scans_of: tuple[tuple[int, ...], ...]
    groups: int
    batch: int
    visit: int
    seed: int
    neighbours: Neighbours | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= len(self.scans_of):
            raise ValueError(f"{self.batch} patients from {len(self.scans_of)}")
        if not 1 <= self.groups <= self.landmarks or self.visit < 1:
            raise ValueError("groups and visit must be at least 1")

    def landmarks_at(self, step: int) -> list[int]:
        """Return the landmarks of a step."""
        visits = math.ceil(self.landmarks / self.groups)
        epoch, place = divmod(step // self.visit, visits)
        order = numpy_generator(self.seed, "landmarks", epoch).permutation(
            self.landmarks
        )
        picks = np.arange(place * self.groups, (place + 1) * self.groups)
        return [int(order[pick % self.landmarks]) for pick in picks]

    @property
    def near(self) -> int:
        """How many neighbours a landmark is read with, R."""
        return 0 if self.neighbours is None else self.neighbours.count

    def neighbours_at(self, step: int) -> list[list[int]]:
        """Return R neighbours of each landmark of a step, ties drawn anew each step."""
        if self.neighbours is None:
            return [[] for _ in range(self.groups)]
        rng = numpy_generator(self.seed, "neighbours", step)
        return [
            self.neighbours.draw(landmark, rng).tolist()
            for landmark in self.landmarks_at(step)
        ]

    def patients_at(self, step: int) -> list[int]:
        """Return the patients of a step: a hand of a shuffled deck, no one twice.

        What is left of a deck that does not divide evenly is shuffled in again.
        """
        hands = len(self.scans_of) // self.batch
        number, hand = divmod(step, hands)
        rng = numpy_generator(self.seed, "patients", number)
        deck = rng.permutation(len(self.scans_of))
        return [int(p) for p in deck[hand * self.batch : (hand + 1) * self.batch]]

    def requests_at(self, step: int, *, rank: int, world: int) -> list[PatchRequest]:
        """Return this process's share of a step: anchors, then their neighbours.

        Both come landmark by landmark, (G, B) and (G, R, B), the same scan of a patient
        at the landmark and at its neighbours.
        """
        rng = numpy_generator(self.seed, "scans", step)
        patients = self.patients_at(step)
        scans = [int(rng.choice(self.scans_of[patient])) for patient in patients]
        mine = scans[rank::world][: self.batch // world]
        near = itertools.chain.from_iterable(self.neighbours_at(step))
        return [
            PatchRequest(landmark, scan)
            for landmark in [*self.landmarks_at(step), *near]
            for scan in mine
        ]


class LandmarkBatches(Sampler[list[PatchRequest]]):
    """Endless batches of requests from a step on, for a loader with any workers."""

    def __init__(
        self, plan: LandmarkPlan, first_step: int, *, rank: int = 0, world: int = 1
    ) -> None:
        self._plan, self._first = plan, first_step
        self._rank, self._world = rank, world

    def __iter__(self) -> Iterator[list[PatchRequest]]:
        step = self._first
        while True:
            yield self._plan.requests_at(step, rank=self._rank, world=self._world)
            step += 1
