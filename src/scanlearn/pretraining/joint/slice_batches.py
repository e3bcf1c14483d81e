"""Which images and volumes make a step of the joint method, and their pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from scanlearn.cohort.slices import Image, SliceCohorts, Volume, squared
from scanlearn.config.engine import OptimiserConfig
from scanlearn.config.joint import JointConfig, StagesConfig
from scanlearn.encoders.pixels import pixels_of
from scanlearn.engine.optimisers import rate_at
from scanlearn.pretraining.joint.pixel_crops import PixelCrops
from scanlearn.randomness import numpy_generator
from scanlearn.views.normalise import shifted

_T = TypeVar("_T")

Stage = Literal["warm", "mask", "joint"]

STAGES: tuple[Stage, ...] = ("warm", "mask", "joint")


@dataclass(frozen=True)
class Schedule:
    """Which stage a step belongs to: a pure function of the step.

    Parameters
    ----------
    shares
        Of the stages.
    steps
        Of the whole training.
    """

    shares: StagesConfig
    steps: int

    @property
    def starts(self) -> dict[Stage, int]:
        """The first step of each stage that has any."""
        shares: dict[Stage, float] = {s: getattr(self.shares, s) for s in STAGES}
        total, begun, starts = sum(shares.values()), 0.0, {}
        for stage, share in shares.items():
            if share:
                starts[stage] = round(begun / total * self.steps)
            begun += share
        return starts

    @property
    def trunk_updates(self) -> int:
        """Steps that change the trunk: all but those of the frozen stage."""
        starts = self.starts
        after = [first for s, first in starts.items() if s == "joint"]
        frozen = (*after, self.steps)[0] - starts["mask"] if "mask" in starts else 0
        return self.steps - frozen

    def at(self, step: int) -> Stage:
        """Return the stage of a step."""
        return [s for s, first in self.starts.items() if first <= step][-1]

    def rate(self, step: int, optimiser: OptimiserConfig) -> float:
        """Return the learning rate of a step, relative to the optimiser's.

        With ``shares.rates`` every stage warms up and falls by itself, and so does what
        is trained beyond the steps, which belongs to the last stage; without them one
        curve spans all, whose end gets little of it.
        """
        if self.shares.rates is None:
            return rate_at(step, optimiser, steps=self.steps)
        peaks = dict(zip(STAGES, self.shares.rates, strict=True))
        peak, starts = peaks[self.at(step)], self.starts
        if step >= self.steps > 0:
            return peak * rate_at(step % self.steps, optimiser, steps=self.steps)
        first = starts[self.at(step)]
        end = min([s for s in starts.values() if s > first], default=self.steps)
        return peak * rate_at(step - first, optimiser, steps=end - first)


@dataclass(frozen=True)
class Deck:
    """Samples in batches, epoch by epoch; sources are drawn in balance.

    A source of n samples has a share of ``n ** balance``: an epoch holds as many
    samples as there are, of small sources all of them several times, of large ones a
    part that changes from epoch to epoch.

    Parameters
    ----------
    sources
        (n,) source of each sample; their numbers are the samples' own.
    batch, balance, seed, name
        ``name`` keeps the streams of several decks apart.
    """

    sources: tuple[int, ...]
    batch: int
    balance: float
    seed: int
    name: str

    @property
    def size(self) -> int:
        """Samples a batch."""
        return min(self.batch, len(self.sources))

    @property
    def batches(self) -> int:
        """Batches an epoch."""
        return max(1, len(self.sources) // self.size)

    def at(self, number: int) -> NDArray[np.int64]:
        """Return the samples of a batch."""
        epoch, place = divmod(number, self.batches)
        order = _epoch(self, epoch)
        return order[place * self.size : (place + 1) * self.size]


@lru_cache(maxsize=8)
def _epoch(deck: Deck, epoch: int) -> NDArray[np.int64]:
    rng = numpy_generator(deck.seed, "deck", deck.name, epoch)
    of = np.asarray(deck.sources)
    names, counts = np.unique(of, return_counts=True)
    total = deck.batches * deck.size
    exact = counts**deck.balance / (counts**deck.balance).sum() * total
    quotas = np.diff(np.rint(np.cumsum(exact)).astype(int), prepend=0)
    drawn = []
    for source, quota in zip(names, quotas, strict=True):
        mine = np.flatnonzero(of == source)
        rounds = -(-quota // len(mine))
        piles = [rng.permutation(mine) for _ in range(rounds)] or [mine[:0]]
        drawn.append(np.concatenate(piles)[:quota])
    return rng.permutation(np.concatenate(drawn))


@dataclass(frozen=True)
class StepRequest:
    """What a step needs: numbers of images and volumes, and whether to read those."""

    images: tuple[int, ...]
    volumes: tuple[int, ...]
    read_volumes: bool
    #: Images that crops are taken from, each with the crop's number.
    crops: tuple[tuple[int, int], ...] = ()
    #: The volumes of all processes, whose longest all are padded to.
    beside: tuple[int, ...] = ()

    def share(self, rank: int, world: int) -> StepRequest:
        """Return a process's part; what does not divide evenly is left out."""

        def part(numbers: tuple[_T, ...]) -> tuple[_T, ...]:
            return numbers[rank::world][: len(numbers) // world]

        return StepRequest(
            part(self.images),
            part(self.volumes),
            self.read_volumes,
            part(self.crops),
            beside=self.volumes[: len(self.volumes) // world * world],
        )


@dataclass(frozen=True)
class StepPlan:
    """The requests of all steps.

    In the stage of hidden slices volumes are only named: their tokens are kept.
    """

    schedule: Schedule
    images: Deck
    volumes: Deck | None
    accumulate: int = 1
    #: Whether the joint stage has a use for them.
    joint_images: bool = True
    joint_volumes: bool = True
    #: Images that crops are taken from, if pixels are grouped.
    crops: Deck | None = None

    @property
    def decks(self) -> list[Deck]:
        """What batches are drawn from."""
        every = (self.images, self.volumes, self.crops)
        return [deck for deck in every if deck is not None]

    def request(self, number: int) -> StepRequest:
        """Return the request of a batch, several of which may make a step."""
        stage, whole = self.schedule.at(number // self.accumulate), number
        number -= self.schedule.starts[stage] * self.accumulate
        joint = stage == "joint"
        use_images = self.joint_images if joint else stage == "warm"
        use_volumes = self.joint_volumes if joint else stage == "mask"
        return StepRequest(
            _numbers(self.images, number) if use_images else (),
            _numbers(self.volumes, number) if use_volumes else (),
            read_volumes=joint,
            crops=self._crops(whole) if stage != "mask" else (),
        )

    def _crops(self, number: int) -> tuple[tuple[int, int], ...]:
        images = _numbers(self.crops, number)
        first = number * len(images)
        return tuple((image, first + n) for n, image in enumerate(images))


def _numbers(deck: Deck | None, number: int) -> tuple[int, ...]:
    return () if deck is None else tuple(deck.at(number).tolist())


class Requests(Sampler[StepRequest]):
    """Endless requests from a batch on, a process's share of each."""

    def __init__(
        self, plan: StepPlan, first: int, *, rank: int = 0, world: int = 1
    ) -> None:
        self._plan, self._first = plan, first
        self._rank, self._world = rank, world

    def __iter__(self) -> Iterator[StepRequest]:
        number = self._first
        while True:
            yield self._plan.request(number).share(self._rank, self._world)
            number += 1


class SliceData(Dataset[dict[str, Tensor]]):
    """Pixels by request, as intensities from 0 (air) to 1264."""

    def __init__(
        self,
        cohorts: SliceCohorts,
        config: JointConfig,
        crops: PixelCrops | None = None,
    ) -> None:
        self.cohorts, self.config, self.crops = cohorts, config, crops

    def __getitem__(self, request: StepRequest) -> dict[str, Tensor]:
        batch: dict[str, Tensor] = {}
        if request.images:
            batch |= self.images(request.images)
        if request.read_volumes and request.volumes:
            batch |= self.stacks(request.volumes, size=self._longest(request.beside))
        elif request.volumes:
            batch["volume_ids"] = torch.tensor(request.volumes)
            batch["longest"] = torch.tensor(self._longest(request.beside))
        if request.crops:
            batch |= self.pixels(request.crops)
        return batch

    def pixels(self, crops: Sequence[tuple[int, int]]) -> dict[str, Tensor]:
        """Read ``crops`` (n, S, S) with what their pixels and images are."""
        assert self.crops is not None
        items = [self.cohorts.images[image] for image, _ in crops]
        grey, features = zip(*(self.crops.at(*crop) for crop in crops), strict=True)
        return {
            "crops": torch.stack(grey),
            "crop_features": torch.stack(features),
            "crop_sources": torch.tensor([item.source for item in items]),
            "crop_hu": _hounsfield(items),
            "crop_film": _films(items),
        }

    def images(self, numbers: Sequence[int]) -> dict[str, Tensor]:
        """Read ``images`` (n, 1, S, S), ``image_ids`` (n,), which are CT and films."""
        items = [self.cohorts.images[n] for n in numbers]
        side = self.config.image_side
        pixels = [square_pixels(self.cohorts, item, side) for item in items]
        return {
            "images": torch.stack(pixels),
            "image_ids": torch.tensor(numbers),
            "image_hu": _hounsfield(items),
            "image_film": _films(items),
        }

    def _longest(self, volumes: Sequence[int]) -> int:
        return max(len(self.cohorts.volumes[n].indices) for n in volumes)

    def stacks(
        self, numbers: Sequence[int], *, size: int | None = None
    ) -> dict[str, Tensor]:
        """Read ``volumes`` (B, N, S, S), ``volume_ids``, ``volume_hu``, ``lengths``.

        The last slice of a shorter volume is repeated; its length tells. N is the
        longest's length if no ``size`` is given.
        """
        items = [self.cohorts.volumes[n] for n in numbers]
        side = self.config.slice_side
        stacks = [square_pixels(self.cohorts, item, side) for item in items]
        most = size or max(map(len, stacks))
        filled = [torch.cat([s, s[-1:].expand(most - len(s), -1, -1)]) for s in stacks]
        return {
            "volumes": torch.stack(filled),
            "volume_ids": torch.tensor(numbers),
            "volume_hu": _hounsfield(items),
            "lengths": torch.tensor([len(s) for s in stacks]),
        }


def square_pixels(cohorts: SliceCohorts, item: Image | Volume, side: int) -> Tensor:
    """Read the slices of an image or a volume as (n, side, side), from 0 to 1264."""
    intensity = item.record.intensity
    stored = squared(cohorts.read(item), intensity.outside)
    return pixels_of(shifted(torch.from_numpy(stored), intensity.units), side)


def _films(items: Sequence[Image]) -> Tensor:
    return torch.tensor([item.record.is_radiograph for item in items])


def _hounsfield(items: Sequence[Image | Volume]) -> Tensor:
    return torch.tensor([item.record.intensity.units == "HU" for item in items])
