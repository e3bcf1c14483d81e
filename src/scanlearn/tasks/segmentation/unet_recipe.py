"""What segmentations share: how fast each part learns, averages, scans of no labels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from scanlearn.anatomy.pieces import with_largest_pieces
from scanlearn.config.engine import EngineConfig, OptimiserConfig
from scanlearn.config.run import RunConfig
from scanlearn.config.segmentation import SegmentationConfig
from scanlearn.encoders.decoder_file import take_decoder
from scanlearn.engine.devices import mixed_precision
from scanlearn.engine.optimisers import within
from scanlearn.engine.recipe import Batch
from scanlearn.engine.tile_numbers import tile_batches
from scanlearn.nets.weight_average import WeightAverage
from scanlearn.runs.events import Health
from scanlearn.tasks.segmentation.earlier import Earlier, take_over
from scanlearn.tasks.segmentation.labelled_scans import mean_dice
from scanlearn.tasks.segmentation.learning_scans import LearningScans
from scanlearn.tasks.segmentation.self_training import SCALES, SelfTraining
from scanlearn.tasks.shared.encoder_start import rated_groups
from scanlearn.tasks.shared.label_tiles import LabelledScan
from scanlearn.tasks.shared.viewed_recipe import ViewedRecipe


class UNetRecipe(ViewedRecipe):
    """A segmenter that learns label maps on an encoder.

    Parameters
    ----------
    config
        The whole configuration; its recipe is a :class:`SegmentationConfig`.
    scans
        What it learns from.
    unet
        The network as it begins, on its encoder.
    pretrained
        Name of the run the encoder was trained in; empty for a fresh one.
    earlier
        The segmenter that it goes on from, if it does.
    """

    score = "dice"

    def __init__(
        self,
        config: RunConfig,
        scans: LearningScans,
        unet: Any,
        *,
        pretrained: str,
        earlier: Earlier | None,
    ) -> None:
        super().__init__(config.engine.seed)
        self.config = config.section(SegmentationConfig)
        self.cohorts, self.others = scans.cohorts, scans.others
        self.classes, self.units = scans.classes, scans.units
        self.whole, self.together = scans.whole, scans.together
        self.training_scans, self.held_out = scans.training, scans.held_out
        self.pretrained = pretrained
        self._is_first = True
        self.unet = unet
        self.started_whole = (
            take_over(unet, earlier, scans.classes, scans.units)
            if earlier
            else take_decoder(unet, config.start_from)
        )
        self.average: WeightAverage | None = None
        if self.config.average:
            self.average = WeightAverage(unet, self.config.average)
        if self.others is not None:
            state = unet.state_dict()
            self._begun = {name: x.clone() for name, x in state.items()}

    @property
    def whole_values(self) -> tuple[int, ...]:
        """Values of the classes of which a prediction keeps the largest piece."""
        return tuple(self.classes[number - 1].value for number in self.whole)

    @property
    def trained(self) -> Any:
        """The network to predict with: the average of its weights, if there is one."""
        return self.unet if self.average is None else self.average.network

    @property
    def optimiser(self) -> OptimiserConfig:
        """The optimiser's settings."""
        return self.config.optimiser

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the decoder, and the encoder, held back at first if it knows more.

        A U-Net that was pre-trained as a whole learns as a whole: nothing is held back.
        """
        rest, encoder = rated_groups(self.unet, self.unet.encoder, rate=1.0)
        ahead = self.pretrained and not self.started_whole
        start = self.config.encoder_rate if ahead else 1.0
        return [rest, encoder | {"rises_from": start}]

    @property
    def tiles_a_step(self) -> int:
        """How many of :attr:`tiles` make a batch."""
        return self.config.batch

    @abstractmethod
    def tiles(self, scans: Sequence[LabelledScan]) -> Dataset[Batch]:
        """Return the tiles of some scans by their number in the training."""

    @abstractmethod
    def segment(self, number: int, scales: Sequence[float] = (1.0,)) -> Tensor:
        """Return probabilities (1 + classes, S, P, L) of a scan of the cohorts.

        The mean of what is seen at several scales, by :attr:`trained`.
        """

    def batches(
        self, first_step: int, engine: EngineConfig, accelerator: Accelerator
    ) -> Iterator[Batch]:
        """Yield batches of :meth:`tiles`; half of each of other scans, once labelled.

        Nothing is drawn before it is asked for: by then the scans have their labels.
        """
        self._is_first = accelerator.is_main_process
        return self._through(first_step, engine, accelerator)

    def _through(
        self, first_step: int, engine: EngineConfig, accelerator: Accelerator
    ) -> Iterator[Batch]:
        def some(tiles: Dataset[Batch], first: int) -> Iterator[Batch]:
            return tile_batches(
                tiles,
                self.tiles_a_step,
                first_step=first,
                engine=engine,
                accelerator=accelerator,
            )

        *_, anew = self.starts(engine.steps)
        mine = self.tiles(self.training_scans)
        if first_step < anew:
            before = (anew - first_step) * engine.accumulate
            yield from islice(some(mine, first_step), before)
        others = self.others.scans() if self.others is not None else []
        both = _Halves(mine, self.tiles(others)) if others else mine
        yield from some(both, max(first_step, anew))

    def starts(self, steps: int) -> tuple[int, ...]:
        """Return the first step, and that after which other scans are learned from."""
        return (0,) if self.others is None else (0, steps // 2)

    def before_step(self, step: int, steps: int) -> None:
        """Average what the last step made of the weights; begin anew where that is."""
        super().before_step(step, steps)
        starts = self.starts(steps)
        if self.average is not None:
            last, length = within(max(step - 1, 0), starts, steps=steps)
            self.average.update(self.unet, last, length)
        if self.others is not None and step == starts[-1]:
            self._label_others(self.others)
            self.unet.load_state_dict(self._begun)
            if self.average is not None:
                self.average.network.load_state_dict(self._begun)

    def _label_others(self, others: SelfTraining) -> None:
        """Label the other scans; one process does it for all."""
        self.eval()
        if self._is_first:
            others.label(self._looked_at, self.training_scans)
        if torch.distributed.is_initialized():
            torch.distributed.barrier()
        self.train()

    def _looked_at(self, number: int) -> NDArray[np.uint8]:
        with torch.no_grad(), mixed_precision(next(self.unet.parameters()).device):
            shares = self.segment(number, SCALES)
        found = shares.argmax(dim=0).to(torch.uint8).cpu().numpy()
        return with_largest_pieces(found, self.whole, together=self.together)

    def validate(self) -> dict[str, float]:
        """Return the Dice of each class over held-out scans, and their mean."""
        return mean_dice(self.held_out, self.classes, self._segment)

    def _segment(self, labelled: LabelledScan) -> NDArray[np.int_]:
        return self.segment(labelled.number).argmax(dim=0).cpu().numpy()

    def health(self, step: int) -> Health | None:
        """Say how many scans it labelled by itself, once it has."""
        if self.others is None or not self.others.folder.exists():
            return None
        count, of = len(self.others.kept()), len(self.others.numbers)
        return Health(
            step=step,
            light="green" if count else "amber",
            sentence=f"It labelled {count} of {of} unlabelled scans by itself and "
            "learns from them, too"
            if count
            else "In no unlabelled scan it found all classes: it learns from the "
            "labelled ones alone",
        )


@dataclass(frozen=True, eq=False)
class _Halves(Dataset[Batch]):
    """Tiles of two kinds in turn."""

    one: Dataset[Batch]
    other: Dataset[Batch]

    def __getitem__(self, number: int) -> Batch:
        half, which = divmod(number, 2)
        return self.other[half] if which else self.one[half]
