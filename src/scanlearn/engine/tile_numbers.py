"""Tiles are numbered through a training; each process takes its share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from accelerate import Accelerator
from torch.utils.data import DataLoader, Dataset

from scanlearn.config.engine import EngineConfig
from scanlearn.engine.recipe import check_share


@dataclass(frozen=True)
class TileNumbers:
    """Endless batches of tile numbers, this process's share of each."""

    first: int
    batch: int
    rank: int
    world: int

    def __iter__(self) -> Iterator[list[int]]:
        begin = self.first
        while True:
            yield list(range(begin + self.rank, begin + self.batch, self.world))
            begin += self.batch


def tile_batches(
    tiles: Dataset[Any],
    batch: int,
    *,
    first_step: int,
    engine: EngineConfig,
    accelerator: Accelerator,
) -> Iterator[Any]:
    """Yield batches of tiles from a step on, without end.

    Parameters
    ----------
    tiles
        Gives the tile of any number, the same in every process.
    batch
        Tiles a step, over all processes.
    first_step, engine, accelerator
        As :meth:`scanlearn.engine.recipe.Recipe.batches` is given them.
    """
    check_share(batch, accelerator.num_processes, least=1)
    numbers = TileNumbers(
        first_step * engine.accumulate * batch,
        batch,
        accelerator.process_index,
        accelerator.num_processes,
    )
    return iter(
        DataLoader(
            tiles,
            batch_sampler=numbers,
            num_workers=engine.workers,
            pin_memory=accelerator.device.type == "cuda",
        )
    )
