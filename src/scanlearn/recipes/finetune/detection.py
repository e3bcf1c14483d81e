"""Detection: centres and diameters on the pre-trained encoder, from a few labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import Dataset

from scanlearn.cohort.spheres import SphereSet
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.detection import DetectionConfig
from scanlearn.config.engine import EngineConfig, OptimiserConfig
from scanlearn.config.run import RunConfig
from scanlearn.engine.recipe import Batch, Recipe, StepResult
from scanlearn.errors import BadLabels
from scanlearn.metrics.average_precision import OVERLAPS, average_precision
from scanlearn.metrics.froc import froc, judge
from scanlearn.nets.centre_map import centre_loss, centre_targets
from scanlearn.nets.location_detector import LocationDetector
from scanlearn.randomness import numpy_generator, torch_generator
from scanlearn.recipes.finetune.detecting import Found, cells_of, find_spheres
from scanlearn.recipes.finetune.detector_file import DetectorCard
from scanlearn.recipes.finetune.encoder_start import (
    rated_groups,
    start_of,
    units_as_of,
)
from scanlearn.recipes.finetune.held_out import hold_out
from scanlearn.recipes.finetune.label_tiles import tile_box
from scanlearn.recipes.finetune.network_card import shared_facts
from scanlearn.recipes.finetune.sphere_tiles import (
    SphereSampler,
    SphereScan,
    sphere_scan,
)
from scanlearn.recipes.finetune.tile_numbers import tile_batches
from scanlearn.recipes.model_file import save_model
from scanlearn.runs.events import Message
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.spheres import sphere_iou
from scanlearn.views.affine import AffineViews
from scanlearn.views.intensity import IntensityViews
from scanlearn.views.normalise import normalised, shifted
from scanlearn.views.sphere_views import random_views

#: Patients from which some are held out: fewer have too few findings to choose by.
_ENOUGH_PATIENTS = 10

#: Below this many labelled findings a pre-trained encoder stays as it is.
_FEW_FINDINGS = 10

_TURN = AffineViews(rotate_degrees=20.0, shift_voxels=0.0, scale=0.2)
_INTENSITY = IntensityViews(
    noise=30.0, noise_probability=0.5, gamma=(0.7, 1.4), gamma_probability=0.3
)


class Detection(Recipe):
    """Round findings such as nodules, from a table of centres and diameters.

    Parameters
    ----------
    config
        The whole configuration; its recipe is a :class:`DetectionConfig`.
    run
        Where the labels taken at launch are.
    """

    score = "ap"

    def __init__(self, config: RunConfig, run: RunFolder) -> None:
        super().__init__()
        assert isinstance(config.recipe, DetectionConfig)
        self.config, self.seed = config.recipe, config.engine.seed
        labels = SphereSet.load(run.inputs)
        start = start_of(
            config,
            width=self.config.width,
            spacing_mm=self.config.spacing_mm,
            labelled={item.scan for item in labels.items},
        )
        self.pretrained = start.pretrained
        self.cohorts, self.atlas, self.placed = start.cohorts, start.atlas, start.placed
        self.training_scans, self.held_out = self._split(labels)
        mine = [*self.training_scans, *self.held_out]
        self.units = units_as_of(
            [self.cohorts.scans[s.number] for s in mine], start.card
        )
        self.network = LocationDetector(start.encoder, stride=self.config.stride)
        if self.is_frozen:
            start.encoder.requires_grad_(False)
        self._step = self._rank = 0

    @property
    def is_frozen(self) -> bool:
        """Whether the encoder stays as it is."""
        if self.config.encoder == "auto":
            few = sum(len(scan.spheres) for scan in self.training_scans) < _FEW_FINDINGS
            return few and bool(self.pretrained)
        return self.config.encoder == "frozen"

    @property
    def optimiser(self) -> OptimiserConfig:
        """The optimiser's settings."""
        return self.config.optimiser

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the decoder, and unless it is frozen the encoder at its own rate."""
        rate = self.config.encoder_rate if self.pretrained else 1.0
        head, encoder = rated_groups(self.network, self.network.encoder, rate=rate)
        return [head] if self.is_frozen else [head, encoder]

    def train(self, mode: bool = True) -> Self:
        """Train; the statistics of a frozen encoder stay those of its pre-training."""
        super().train(mode)
        if self.is_frozen:
            self.network.encoder.eval()
        return self

    def batches(
        self, first_step: int, engine: EngineConfig, accelerator: Accelerator
    ) -> Iterator[Batch]:
        """Yield ``image`` (B, 1, t, t, t), ``objects`` (B, K, 4), ``boxes`` (B, 2, 3).

        Objects are centres in voxels of the tile and diameters in millimetres; NaN
        where there are fewer.
        """
        self._rank = accelerator.process_index
        sampler = SphereSampler(
            self.training_scans,
            tile=self.config.tile,
            around=self.config.around_findings,
        )
        return tile_batches(
            _Tiles(self.cohorts, sampler, seed=self.seed),
            self.config.batch,
            first_step=first_step,
            engine=engine,
            accelerator=accelerator,
        )

    def messages(self) -> list[Message]:
        """Say what there is to learn from, and how scans were placed in the atlas."""
        train = self.training_scans
        found = sum(len(scan.spheres) for scan in train)
        without = sum(not len(scan.spheres) for scan in train)
        text = (
            f"{found} labelled {self.config.finding}s in {len(train)} scans of "
            f"{len({scan.patient for scan in train})} patients, {without} without any; "
            f"{len(self.held_out)} scans held out."
        )
        if self.is_frozen:
            text += " With so few the encoder stays as it was pre-trained."
        return [Message(text=text), *(self.placed.messages() if self.placed else [])]

    def before_step(self, step: int, steps: int) -> None:
        """Note the step, whose views are drawn from its own stream."""
        self._step = step

    def forward(self, batch: Batch) -> StepResult:
        """Return the losses of heat, offsets and diameters of some tiles."""
        image, objects, boxes = batch["image"], batch["objects"], batch["boxes"]
        if self.config.augment:
            generator = torch_generator(
                self.seed, "views", self._step, self._rank, device=image.device
            )
            image, objects, boxes = random_views(
                image, objects, boxes, _TURN, generator
            )
            image = _INTENSITY.apply(image, _INTENSITY.sample(len(image), generator))
        maps: Tensor = self.network(normalised(image), boxes)
        cells = cells_of(self.cohorts.scans[0].grid, self.config.stride)
        targets = centre_targets(objects, tuple(maps.shape[2:]), cells)
        losses = centre_loss(maps, targets, hardest=self.config.hardest)
        return StepResult(
            loss=torch.stack(list(losses.values())).sum(),
            values={name: loss.detach() for name, loss in losses.items()},
        )

    def validate(self) -> dict[str, float]:
        """Return average precision (over overlaps) and CPM on the held-out scans."""
        judged, scored = [], []
        for scan in self.held_out:
            found = self._detect(scan)
            judged.append(judge(found.spheres, found.scores, scan.spheres))
            scored.append((found.scores, sphere_iou(found.spheres, scan.spheres)))
        curve = froc(judged)
        if curve is None:
            return {}
        aps = [average_precision(scored, overlap=overlap) for overlap in OVERLAPS]
        return {"ap": float(np.mean([ap or 0.0 for ap in aps])), "cpm": curve.cpm}

    def _detect(self, scan: SphereScan) -> Found:
        working = self.cohorts.scans[scan.number]
        device = next(self.network.parameters()).device
        whole = self.cohorts.read(scan.number, (0, 0, 0), working.grid.shape)
        volume = normalised(shifted(torch.from_numpy(whole), working.units)).to(device)
        cohort = self.cohorts.cohorts[working.cohort]
        return find_spheres(
            self.network,
            volume,
            working.grid,
            working.frame,
            tile=self.config.tile,
            overlap=0.25,
            least=self.config.least_score,
            lungs=cohort.lungs(working.key) if self.config.within_lungs else None,
        )

    def export(self, folder: Path, *, step: int) -> None:
        """Write the detector."""
        known = np.concatenate([scan.spheres[:, 3] for scan in self.training_scans])
        card = DetectorCard(
            **shared_facts(self.network.encoder, self.cohorts.scans[0], self.units),
            tile=self.config.tile,
            atlas=self.atlas.to_dict() if self.atlas else None,
            pretrained=self.pretrained,
            step=step,
            stride=self.config.stride,
            finding=self.config.finding,
            least_score=self.config.least_score,
            within_lungs=self.config.within_lungs,
            smallest_mm=float(known.min()),
            largest_mm=float(known.max()),
        )
        save_model(folder, self.network.state_dict(), card)

    def _split(self, labels: SphereSet) -> tuple[list[SphereScan], list[SphereScan]]:
        """Split as the table says, else by patient; a test part is left alone."""
        numbers = {scan.key: n for n, scan in enumerate(self.cohorts.scans)}
        missing = [item.scan for item in labels.items if item.scan not in numbers]
        if missing:
            raise BadLabels(
                f"The labelled scan {missing[0]} is not in the cohort, is excluded, or "
                "the encoder's atlas does not fit it",
                next_step="Look at the scan; include it again, or launch the training "
                "without it",
            )
        items = [item for item in labels.items if item.split != "test"]
        free, fixed = hold_out(
            items,
            share=self.config.validation,
            seed=self.seed,
            enough=_ENOUGH_PATIENTS,
        )
        if not any(len(item.spheres) for item in free):
            raise BadLabels(
                f"None of the {len(free)} scans to train on has a labelled finding",
                expected="at least one finding outside the held-out and test scans",
                next_step="Label more scans, or set validation=0",
            )
        train, held_out = (
            [sphere_scan(self.cohorts, numbers[item.scan], item) for item in part]
            for part in (free, fixed)
        )
        return train, held_out


@dataclass(frozen=True, eq=False)
class _Tiles(Dataset[Batch]):
    """Tiles by their number in the training: any worker gives the same tile."""

    cohorts: WorkingCohorts
    sampler: SphereSampler
    seed: int

    def __getitem__(self, number: int) -> Batch:
        index, start = self.sampler.sample(numpy_generator(self.seed, "tile", number))
        scan, side = self.sampler.scans[index], self.sampler.tile
        image = torch.from_numpy(self.cohorts.read(scan.number, start, (side,) * 3))
        working = self.cohorts.scans[scan.number]
        return {
            "image": shifted(image, working.units)[None],
            "objects": torch.from_numpy(self.sampler.objects(index, start)),
            "boxes": torch.from_numpy(
                tile_box(working.grid, working.frame, start, side)
            ),
        }
