"""Segmentation: a 3D U-Net on the pre-trained encoder, from a few labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from scanlearn.cohort.labels import LabelSet
from scanlearn.cohort.placing import carry_atlas
from scanlearn.cohort.working import (
    IntensityUnits,
    WorkingCohorts,
    WorkingScan,
    common_units,
)
from scanlearn.config.engine import EngineConfig, OptimiserConfig
from scanlearn.config.run import RunConfig
from scanlearn.config.segmentation import ClassConfig, SegmentationConfig
from scanlearn.engine.recipe import Batch, Recipe, StepResult, check_share
from scanlearn.errors import BadCohort, BadLabels
from scanlearn.nets.location_encoder import LocationEncoder
from scanlearn.nets.location_unet import LocationUNet
from scanlearn.nets.segmentation_loss import IGNORE, dice_cross_entropy
from scanlearn.nets.sliding_windows import sliding_windows
from scanlearn.randomness import numpy_generator, torch_generator
from scanlearn.recipes.encoder_file import EncoderCard, load_encoder_for_frames
from scanlearn.recipes.finetune.label_tiles import (
    LabelledScan,
    TileSampler,
    cut_labels,
    pool_labels,
    tile_box,
)
from scanlearn.recipes.finetune.segmenter_file import SegmenterCard, save_segmenter
from scanlearn.runs.events import Message
from scanlearn.runs.folder import RunFolder
from scanlearn.views.affine import AffineViews, apply_affine
from scanlearn.views.intensity import IntensityViews
from scanlearn.views.normalise import normalised, shifted

#: Patients from which some are held out to choose the best checkpoint.
_ENOUGH_PATIENTS = 5

#: Size of a U-Net that starts from nothing.
_SCRATCH = {"dim": 64, "experts": 4}

#: Changes that leave labels true: no mirroring, for left and right are classes.
_TURN = AffineViews(rotate_degrees=12.0, shift_voxels=0.0, scale=0.12)
_INTENSITY = IntensityViews(
    noise=25.0, noise_probability=0.3, gamma=(0.7, 1.4), gamma_probability=0.3
)


class Segmentation(Recipe):
    """Voxel classes from painted slices or whole label maps.

    Parameters
    ----------
    config
        The whole configuration; its recipe is a :class:`SegmentationConfig`.
    run
        Where the labels taken at launch are.
    """

    score = "dice"

    def __init__(self, config: RunConfig, run: RunFolder) -> None:
        super().__init__()
        assert isinstance(config.recipe, SegmentationConfig)
        self.config, self.seed = config.recipe, config.engine.seed
        encoder, self.card = _encoder(config)
        spacing = min(self.card.spacing_mm) if self.card else self.config.spacing_mm
        self.pretrained = config.start_from.name if config.start_from else ""
        self.cohorts = WorkingCohorts(config.cohorts, spacing)
        labels = LabelSet.load(run.inputs)
        self.classes = self.config.classes or _classes(labels)
        self.atlas = self.card.located() if self.card else None
        self.placed = None
        if self.atlas is not None:
            keys = {item.scan for item in labels.items}
            self.placed = carry_atlas(self.cohorts, self.atlas, only=keys)
            self.cohorts = self.placed.cohorts
        scans = _labelled_scans(labels, self.cohorts, self.classes)
        self.units = _units([self.cohorts.scans[s.number] for s in scans], self.card)
        self.training_scans, self.held_out = _split(
            scans, share=self.config.validation, seed=self.seed
        )
        self.unet = LocationUNet(encoder, classes=len(self.classes) + 1)
        self._step = self._rank = 0

    @property
    def optimiser(self) -> OptimiserConfig:
        """The optimiser's settings."""
        return self.config.optimiser

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the decoder, and the encoder at its own rate."""
        # A resumed optimiser knows its parameters by their order alone.
        encoder = list(self.unet.encoder.parameters())
        inside = set(encoder)
        decoder = [p for p in self.unet.parameters() if p not in inside]
        rate = self.config.encoder_rate if self.pretrained else 1.0
        return [{"params": decoder}, {"params": encoder, "rate": rate}]

    def batches(
        self, first_step: int, engine: EngineConfig, accelerator: Accelerator
    ) -> Iterator[Batch]:
        """Yield ``image`` (B, 1, t, t, t), ``labels`` and ``boxes`` (B, 2, 3)."""
        self._rank = accelerator.process_index
        check_share(self.config.batch, accelerator.num_processes, least=1)
        sampler = TileSampler(
            self.training_scans,
            tile=self.config.tile,
            foreground=self.config.foreground,
        )
        data = _Tiles(self.cohorts, sampler, seed=self.seed)
        first = first_step * engine.accumulate * self.config.batch
        numbers = _Numbers(
            first, self.config.batch, self._rank, accelerator.num_processes
        )
        loader = DataLoader(
            data,
            batch_sampler=numbers,
            num_workers=engine.workers,
            pin_memory=accelerator.device.type == "cuda",
        )
        return iter(loader)

    def messages(self) -> list[Message]:
        """Say how the labelled scans were placed in the encoder's atlas."""
        return self.placed.messages() if self.placed else []

    def before_step(self, step: int, steps: int) -> None:
        """Note the step, whose views are drawn from its own stream."""
        self._step = step

    def forward(self, batch: Batch) -> StepResult:
        """Return Dice plus cross-entropy over the labelled voxels of some tiles."""
        image, labels = batch["image"], batch["labels"]
        if self.config.augment:
            image, labels = self._view(image, labels)
        logits = self.unet(normalised(image), batch["boxes"])
        return StepResult(dice_cross_entropy(logits, labels.long()))

    def _view(self, image: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        generator = torch_generator(
            self.seed, "views", self._step, self._rank, device=image.device
        )
        maps = _TURN.sample(len(image), generator)
        size = image.shape[-1]
        image = apply_affine(image, maps, size=size)
        turned = apply_affine(labels[:, None].float(), maps, size=size, nearest=True)
        draw = _INTENSITY.sample(len(image), generator)
        return _INTENSITY.apply(image, draw), turned[:, 0].to(labels.dtype)

    def validate(self) -> dict[str, float]:
        """Return the Dice of each class over held-out scans, and their mean."""
        scores: dict[str, list[float]] = {c.name: [] for c in self.classes}
        for scan in self.held_out:
            guess = self._segment(scan.number)
            known = scan.labels != IGNORE
            for index, one in enumerate(self.classes, start=1):
                truth = scan.labels == index
                if truth.any():
                    mine = (guess == index) & known
                    overlap = 2 * float((mine & truth).sum())
                    scores[one.name].append(overlap / float(mine.sum() + truth.sum()))
        means = {f"dice {k}": float(np.mean(v)) for k, v in scores.items() if v}
        if not means:
            return {}
        return {"dice": float(np.mean(list(means.values()))), **means}

    def _segment(self, number: int) -> NDArray[np.int_]:
        scan = self.cohorts.scans[number]
        device = next(self.unet.parameters()).device
        whole = self.cohorts.read(number, (0, 0, 0), scan.grid.shape)
        volume = normalised(shifted(torch.from_numpy(whole), scan.units)).to(device)
        tile = self.config.tile

        def network(x: Tensor, starts: NDArray[np.int_]) -> Tensor:
            boxes = [tile_box(scan.grid, scan.frame, start, tile) for start in starts]
            logits: Tensor = self.unet(x, torch.from_numpy(np.stack(boxes)).to(device))
            return logits

        scores = sliding_windows(volume, network, window=tile, overlap=0.25)
        return scores.argmax(dim=0).cpu().numpy()

    def export(self, folder: Path, *, step: int) -> None:
        """Write the segmenter with its classes."""
        encoder, first = self.unet.encoder, self.cohorts.scans[0]
        card = SegmenterCard(
            width=encoder.tap_channels[0],
            dim=encoder.dim,
            experts=encoder.experts,
            knee=encoder.tone.knee,
            tile=self.config.tile,
            stored_spacing_mm=first.record.spacing_mm,
            factor=first.factor,
            units=self.units,
            frame=first.frame.kind,
            atlas=self.atlas.to_dict() if self.atlas else None,
            classes=self.classes,
            pretrained=self.pretrained,
            step=step,
        )
        save_segmenter(folder, self.unet, card)


@dataclass(frozen=True, eq=False)
class _Tiles(Dataset[Batch]):
    """Tiles by their number in the training: any worker gives the same tile."""

    cohorts: WorkingCohorts
    sampler: TileSampler
    seed: int

    def __getitem__(self, number: int) -> Batch:
        index, start = self.sampler.sample(numpy_generator(self.seed, "tile", number))
        scan, side = self.sampler.scans[index], self.sampler.tile
        image = torch.from_numpy(self.cohorts.read(scan.number, start, (side,) * 3))
        working = self.cohorts.scans[scan.number]
        box = tile_box(working.grid, working.frame, start, side)
        return {
            "image": shifted(image, working.units)[None],
            "labels": torch.from_numpy(cut_labels(scan.labels, start, side)),
            "boxes": torch.from_numpy(box),
        }


@dataclass(frozen=True)
class _Numbers:
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


def _units(scans: list[WorkingScan], encoder: EncoderCard | None) -> IntensityUnits:
    """Return what the intensities of the labelled scans mean, as the encoder's do."""
    units = common_units(scans)
    if encoder is not None and encoder.units != units:
        raise BadCohort(
            f"The labelled scans' intensities are {units}, those the encoder was "
            f"trained on {encoder.units}",
            expected="scans of the encoder's modality",
            next_step="Choose another pre-training, or start from scratch",
        )
    return units


def _encoder(config: RunConfig) -> tuple[LocationEncoder, EncoderCard | None]:
    if config.start_from is not None:
        return load_encoder_for_frames(config.start_from)
    assert isinstance(config.recipe, SegmentationConfig)
    return LocationEncoder(width=config.recipe.width, **_SCRATCH), None


def _classes(labels: LabelSet) -> tuple[ClassConfig, ...]:
    return tuple(ClassConfig(value=v, name=n) for v, n in sorted(labels.names.items()))


def _labelled_scans(
    labels: LabelSet, cohorts: WorkingCohorts, classes: tuple[ClassConfig, ...]
) -> list[LabelledScan]:
    """Read label maps onto the working grids, their values made class numbers."""
    table = np.full(256, IGNORE, dtype=np.uint8)
    table[0] = 0
    for index, one in enumerate(classes, start=1):
        table[one.value] = index
    numbers = {scan.key: number for number, scan in enumerate(cohorts.scans)}
    found = []
    for item in labels.items:
        if item.scan not in numbers:
            raise BadLabels(
                f"The labelled scan {item.scan} is not in the cohort, is excluded, or "
                "the encoder's atlas does not fit it",
                next_step="Look at the scan; include it again, or launch the training "
                "without it",
            )
        scan = cohorts.scans[numbers[item.scan]]
        pooled = pool_labels(table[item.read()], scan.factor, len(classes) + 1)
        found.append(LabelledScan(numbers[item.scan], item.patient, pooled))
    return found


def _split(
    scans: list[LabelledScan], *, share: float, seed: int
) -> tuple[list[LabelledScan], list[LabelledScan]]:
    """Hold out whole patients, when there are enough to spare some."""
    patients = sorted({scan.patient for scan in scans})
    if len(patients) < _ENOUGH_PATIENTS or share == 0:
        return scans, []
    count = max(1, round(share * len(patients)))
    order = numpy_generator(seed, "held out").permutation(patients)
    out = set(order[:count].tolist())
    return (
        [scan for scan in scans if scan.patient not in out],
        [scan for scan in scans if scan.patient in out],
    )
