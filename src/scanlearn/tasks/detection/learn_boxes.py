"""Detection on radiographs: boxes on the trunk of a joint pre-training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import Dataset

from scanlearn import processes
from scanlearn.cohort.slices import SliceCohorts
from scanlearn.config.detection import DetectionConfig
from scanlearn.config.engine import EngineConfig
from scanlearn.config.run import RunConfig
from scanlearn.encoders.pixels import image_pixels
from scanlearn.engine.recipe import Batch, StepResult
from scanlearn.engine.tile_numbers import tile_batches
from scanlearn.metrics.froc import judge_boxes
from scanlearn.nets.slice_detector import SliceDetector
from scanlearn.randomness import numpy_generator
from scanlearn.runs.events import Message
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.boxes import box_iou
from scanlearn.tasks.detection.box_images import (
    BoxImage,
    BoxSampler,
    box_image,
)
from scanlearn.tasks.detection.box_search import find_boxes
from scanlearn.tasks.detection.card import SliceDetectorCard
from scanlearn.tasks.detection.centre_recipe import (
    CentreRecipe,
    split_findings,
    validated,
)
from scanlearn.tasks.detection.finding_set import FindingSet, LabelledFindings
from scanlearn.tasks.shared.model_file import save_model
from scanlearn.tasks.shared.slice_start import slice_start
from scanlearn.views.box_views import carried
from scanlearn.views.crop_views import CropViews
from scanlearn.views.normalise import normalised

#: Crops are read this much larger than they are seen, for views that show more.
_ROOM = 5 / 4


class BoxDetection(CentreRecipe[SliceDetector]):
    """Boxes on radiographs, from a table or from rectangles drawn in napari.

    Parameters
    ----------
    config
        The whole configuration; its recipe is a :class:`DetectionConfig`.
    run
        Where the labels taken at launch are.
    """

    def __init__(self, config: RunConfig, run: RunFolder) -> None:
        settings = config.section(DetectionConfig)
        start = slice_start(config.start_from, settings.trunk)
        network = SliceDetector(start.encoder, stride=settings.stride)
        super().__init__(config, network, pretrained=start.pretrained)
        self.start = start
        self.cohorts = SliceCohorts(config.cohorts, slices=1, images_a_volume=1)
        self.training_images, self.held_out = self._split(FindingSet.load(run.inputs))
        self.units = start.units_of([*self.training_images, *self.held_out])
        self.crop = min(self.config.crop, self.config.side)
        self.views = CropViews(
            size=self.crop,
            area=(0.5, 1.0),
            rotate_degrees=10.0,
            mirror=0.5,
            shift_hu=20.0,
            noise_hu=20.0,
            contrast=0.2,
            gamma=(0.8, 1.25),
            field=0.2,
        )

    def batches(
        self, first_step: int, engine: EngineConfig, accelerator: Accelerator
    ) -> Iterator[Batch]:
        """Yield ``image`` (B, 1, c, c), ``objects`` (B, K, 4) and ``hu`` (B,).

        Objects are middles, heights and widths in pixels of the crop; NaN where there
        are fewer.
        """
        room = _ROOM if self.config.augment else 1.0
        sampler = BoxSampler(
            self.training_images,
            side=self.config.side,
            crop=round(self.crop * room),
            around=self.config.around_findings,
        )
        return tile_batches(
            _Crops(self.cohorts, sampler, seed=self.seed),
            self.config.batch,
            first_step=first_step,
            engine=engine,
            accelerator=accelerator,
        )

    def messages(self) -> list[Message]:
        """Say what there is to learn from."""
        text = self.learned_from(
            [len(image.boxes) for image in self.training_images],
            {image.patient for image in self.training_images},
            held_out=len(self.held_out),
        )
        return [Message(text=text)]

    def forward(self, batch: Batch) -> StepResult:
        """Return the losses of heat, offsets, heights and widths of some crops."""
        image, objects = batch["image"], batch["objects"]
        if self.config.augment:
            generator = self.view_draws(image.device)
            draw = processes.share(
                self.views.sample(processes.spread(batch["hu"]), generator)
            )
            before = image.shape[-1]
            objects = carried(objects, draw.maps, before=before, after=self.crop)
            image = self.views.apply(image, draw, batch["hu"])
        else:
            image = normalised(image)
        maps: Tensor = self.network(image)
        return self.losses(maps, objects, self.network.cells)

    def validate(self) -> dict[str, float]:
        """Return average precision (over overlaps) and CPM on held-out radiographs."""
        judged, scored = [], []
        for image in self.held_out:
            stored = self.cohorts.read(self.cohorts.images[image.number])
            intensity = image.record.intensity
            pixels = image_pixels(stored, intensity, side=self.config.side)
            found = find_boxes(
                self.network, pixels, image.record.grid, least=self.config.least_score
            )
            judged.append(judge_boxes(found.boxes, found.scores, image.boxes))
            scored.append((found.scores, box_iou(found.boxes, image.boxes)))
        return validated(judged, scored)

    def export(self, folder: Path, *, step: int) -> None:
        """Write the detector."""
        first = self.training_images[0]
        cohort = self.cohorts.cohorts[self.cohorts.images[first.number].cohort]
        card = SliceDetectorCard(
            trunk=self.start.trunk,
            transformer=self.start.transformer,
            knee=self.network.encoder.tone.knee,
            side=self.config.side,
            radiograph_size=cohort.settings.config.radiograph_size,
            units=self.units,
            pretrained=self.pretrained,
            step=step,
            stride=self.config.stride,
            finding=self.config.finding,
            least_score=self.config.least_score,
        )
        save_model(folder, self.network.state_dict(), card)

    def _split(self, labels: FindingSet) -> tuple[list[BoxImage], list[BoxImage]]:
        numbers = {
            image.record.key: number
            for number, image in enumerate(self.cohorts.images)
            if image.record.is_radiograph
        }

        def make(item: LabelledFindings) -> BoxImage:
            number = numbers[item.scan]
            return box_image(self.cohorts, number, item, side=self.config.side)

        share = self.config.validation
        return split_findings(labels, numbers, make, share=share, seed=self.seed)


@dataclass(frozen=True, eq=False)
class _Crops(Dataset[Batch]):
    """Crops by their number in the training: any worker gives the same one."""

    cohorts: SliceCohorts
    sampler: BoxSampler
    seed: int

    def __getitem__(self, number: int) -> Batch:
        rng = numpy_generator(self.seed, "crop", number)
        index, start = self.sampler.sample(rng)
        image = self.sampler.images[index]
        stored = self.cohorts.read(self.cohorts.images[image.number])
        square = image_pixels(stored, image.record.intensity, side=self.sampler.side)
        top, left = start.tolist()
        size = self.sampler.crop
        return {
            "image": square[:, top : top + size, left : left + size].clone(),
            "objects": torch.from_numpy(self.sampler.objects(index, start)),
            "hu": torch.tensor(image.units == "HU"),
        }
