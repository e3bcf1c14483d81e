"""Detection: centres and diameters on the pre-trained encoder, from a few labels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import Dataset

from scanlearn import processes
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.detection import DetectionConfig
from scanlearn.config.engine import EngineConfig
from scanlearn.config.run import RunConfig
from scanlearn.encoders.patch_places import tile_box
from scanlearn.engine.recipe import Batch, StepResult
from scanlearn.engine.tile_numbers import tile_batches
from scanlearn.metrics.froc import judge
from scanlearn.nets.location_detector import LocationDetector
from scanlearn.randomness import numpy_generator
from scanlearn.runs.events import Message
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.spheres import sphere_iou
from scanlearn.tasks.detection.card import DetectorCard
from scanlearn.tasks.detection.centre_recipe import (
    CentreRecipe,
    split_findings,
    validated,
)
from scanlearn.tasks.detection.finding_set import FindingSet, LabelledFindings
from scanlearn.tasks.detection.sphere_search import Found, cells_of, find_spheres
from scanlearn.tasks.detection.sphere_tiles import (
    SphereSampler,
    SphereScan,
    sphere_scan,
)
from scanlearn.tasks.shared.encoder_start import start_of, units_as_of
from scanlearn.tasks.shared.model_file import save_model
from scanlearn.tasks.shared.network_card import shared_facts
from scanlearn.views.affine import AffineViews
from scanlearn.views.intensity import IntensityViews
from scanlearn.views.normalise import normalised, shifted
from scanlearn.views.sphere_views import random_views

_TURN = AffineViews(rotate_degrees=20.0, shift_voxels=0.0, scale=0.2)
_INTENSITY = IntensityViews(
    noise=30.0, noise_probability=0.5, gamma=(0.7, 1.4), gamma_probability=0.3
)


class Detection(CentreRecipe[LocationDetector]):
    """Round findings such as nodules, from a table of centres and diameters.

    Parameters
    ----------
    config
        The whole configuration; its recipe is a :class:`DetectionConfig`.
    run
        Where the labels taken at launch are.
    """

    def __init__(self, config: RunConfig, run: RunFolder) -> None:
        settings, labels = config.section(DetectionConfig), FindingSet.load(run.inputs)
        start = start_of(
            config,
            width=settings.width,
            spacing_mm=settings.spacing_mm,
            labelled={item.scan for item in labels.items},
        )
        network = LocationDetector(start.encoder, stride=settings.stride)
        super().__init__(config, network, pretrained=start.pretrained)
        self.cohorts, self.atlas, self.placed = start.cohorts, start.atlas, start.placed
        self.training_scans, self.held_out = self._split(labels)
        mine = [*self.training_scans, *self.held_out]
        self.units = units_as_of(
            [self.cohorts.scans[s.number] for s in mine], start.card
        )

    def batches(
        self, first_step: int, engine: EngineConfig, accelerator: Accelerator
    ) -> Iterator[Batch]:
        """Yield ``image`` (B, 1, t, t, t), ``objects`` (B, K, 4), ``boxes`` (B, 2, 3).

        Objects are centres in voxels of the tile and diameters in millimetres; NaN
        where there are fewer.
        """
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
        text = self.learned_from(
            [len(scan.spheres) for scan in train],
            {scan.patient for scan in train},
            held_out=len(self.held_out),
        )
        return [Message(text=text), *(self.placed.messages() if self.placed else [])]

    def forward(self, batch: Batch) -> StepResult:
        """Return the losses of heat, offsets and diameters of some tiles."""
        image, objects, boxes = batch["image"], batch["objects"], batch["boxes"]
        if self.config.augment:
            generator = self.view_draws(image.device)
            image, objects, boxes = random_views(
                image, objects, boxes, _TURN, generator
            )
            draw = _INTENSITY.sample(processes.whole(len(image)), generator)
            image = _INTENSITY.apply(image, processes.share(draw))
        maps: Tensor = self.network(normalised(image), boxes)
        cells = cells_of(self.cohorts.scans[0].grid, self.config.stride)
        return self.losses(maps, objects, cells)

    def validate(self) -> dict[str, float]:
        """Return average precision (over overlaps) and CPM on the held-out scans."""
        judged, scored = [], []
        for scan in self.held_out:
            found = self._detect(scan)
            judged.append(judge(found.spheres, found.scores, scan.spheres))
            scored.append((found.scores, sphere_iou(found.spheres, scan.spheres)))
        return validated(judged, scored)

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

    def _split(self, labels: FindingSet) -> tuple[list[SphereScan], list[SphereScan]]:
        numbers = {scan.key: n for n, scan in enumerate(self.cohorts.scans)}

        def make(item: LabelledFindings) -> SphereScan:
            return sphere_scan(self.cohorts, numbers[item.scan], item)

        share = self.config.validation
        return split_findings(labels, numbers, make, share=share, seed=self.seed)


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
