"""The networks of a DrasCLR training, what they see, and what they leave."""

from __future__ import annotations

import copy
import functools
import json
from abc import ABC
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader

from scanlearn.cohort.atlas.atlas_on_scans import place_cohorts
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.drasclr import DrasclrConfig
from scanlearn.config.engine import EngineConfig, OptimiserConfig
from scanlearn.config.run import RunConfig
from scanlearn.encoders.decoder_file import save_decoder
from scanlearn.encoders.encoder_file import Encoder, save_encoder
from scanlearn.engine.recipe import Batch, Recipe, check_share
from scanlearn.engine.tile_numbers import tile_batches
from scanlearn.errors import BadRun
from scanlearn.files import write_text
from scanlearn.nets.conditional_conv import ignore_locations
from scanlearn.nets.location_encoder import LocationEncoder, ProjectionHead
from scanlearn.nets.recalibrate import recalibrate_batch_norm
from scanlearn.nets.teacher import MomentumTeacher
from scanlearn.pretraining.drasclr.clean_batches import clean_batches
from scanlearn.pretraining.drasclr.contrast_health import ContrastHealth
from scanlearn.pretraining.drasclr.landmark_batches import LandmarkBatches
from scanlearn.pretraining.drasclr.nearest_patches import draw_nearest
from scanlearn.pretraining.drasclr.patches import PatchData, collate
from scanlearn.pretraining.drasclr.queues import LandmarkQueues
from scanlearn.pretraining.drasclr.sizes import (
    encoder_card,
    landmark_plan,
    patch_sides,
    queue_length,
)
from scanlearn.pretraining.drasclr.views import patch_views
from scanlearn.pretraining.drasclr.voxel_agreement import VoxelAgreement
from scanlearn.pretraining.drasclr.voxel_tiles import VoxelTiles
from scanlearn.runs.events import Message, Preview

_CAPTION = "A patch, and the most alike of other patients at the same place"


class DrasclrNetworks(Recipe, ABC):
    """Encoder, teacher, queues and patches, fitted to the cohort, without the losses.

    Parameters
    ----------
    run
        The whole configuration; its recipe is a :class:`DrasclrConfig`.
    """

    locations: Tensor

    def __init__(self, run: RunConfig) -> None:
        super().__init__()
        self.config = config = run.section(DrasclrConfig)
        self.seed = run.engine.seed
        every = WorkingCohorts(run.cohorts, config.spacing_mm)
        self.placed = place_cohorts(every, config.landmarks)
        self.cohorts, self.atlas = self.placed.cohorts, self.placed.atlas
        voxel = min(self.cohorts.spacing_mm)
        self.patch, self.context = patch_sides(config, voxel)
        self.data = PatchData(self.cohorts, self.atlas, side=self.context)
        self.plan = landmark_plan(config, self.cohorts, self.atlas, seed=self.seed)

        self.card = encoder_card(config, self.cohorts, self.atlas, patch=self.patch)
        self.encoder = self.card.build()
        if not config.encoder.location:
            ignore_locations(self.encoder)
        self.head = ProjectionHead(config.encoder.dim, config.head_dim)
        self.teacher = MomentumTeacher(self.encoder, self.head)
        self.register_buffer(
            "locations", torch.from_numpy(self.atlas.landmarks), persistent=False
        )
        landmarks = len(self.atlas.landmarks)
        self.queues = LandmarkQueues(
            1 if config.shared_queue else landmarks,
            queue_length(config, patients=len(self.plan.scans_of), landmarks=landmarks),
            config.head_dim,
            precision=config.queue_precision,
        )
        self.views = patch_views(
            config.views, size=self.patch, voxel_mm=voxel, units=self.card.units
        )
        self.by_voxel = self._voxels(voxel) if config.dense else None
        self.meter = ContrastHealth(batch=self.plan.batch)
        self._step = self._part = 0
        # In a tuple, for a module's attribute would become a part of its state.
        self._exported: tuple[Encoder, ...] = ()

    def _voxels(self, voxel_mm: float) -> VoxelAgreement:
        """Make what groups voxels."""
        assert isinstance(self.encoder, LocationEncoder)
        return VoxelAgreement(
            self.encoder,
            VoxelTiles(self.cohorts, self.atlas, self.seed),
            clusters=self.config.voxels.clusters,
            views=self.config.views,
            voxel_mm=voxel_mm,
            units=self.card.units,
        )

    @property
    def optimiser(self) -> OptimiserConfig:
        """The optimiser's settings."""
        return self.config.optimiser

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the query encoder and head, whom the teacher follows; the decoder."""
        decoder = self.by_voxel.decoder if self.by_voxel is not None else ()
        return [{"params": [*self._student(), *decoder]}]

    def _student(self) -> list[Tensor]:
        return [*self.encoder.parameters(), *self.head.parameters()]

    def batches(
        self, first_step: int, engine: EngineConfig, accelerator: Accelerator
    ) -> Iterator[Batch]:
        """Yield what :func:`~scanlearn.pretraining.drasclr.patches.collate` gives."""
        self.queues.to(accelerator.device)
        rank, world = accelerator.process_index, accelerator.num_processes
        self.meter.batch = self.plan.batch - self.plan.batch % world
        check_share(self.meter.batch, world, least=2)
        requests = LandmarkBatches(
            self.plan, first_step * engine.accumulate, rank=rank, world=world
        )
        patches = iter(
            DataLoader(
                self.data,
                batch_sampler=requests,
                collate_fn=functools.partial(collate, neighbours=self.plan.near),
                num_workers=engine.workers,
                pin_memory=accelerator.device.type == "cuda",
            )
        )
        if self.by_voxel is None:
            return patches
        tiles = tile_batches(
            self.by_voxel.tiles,
            self.config.voxels.batch,
            first_step=first_step,
            engine=engine,
            accelerator=accelerator,
        )
        return (one | other for one, other in zip(patches, tiles, strict=False))

    def messages(self) -> list[Message]:
        """Say how the scans were placed in the atlas."""
        return self.placed.messages()

    def memory(self) -> dict[str, Any]:
        """Return the queues, the health meter and which atlas they refer to."""
        return {
            "queues": self.queues.state(),
            "meter": self.meter.state(),
            "atlas": self.atlas.hash,
        }

    def remember(self, memory: dict[str, Any]) -> None:
        """Take back what :meth:`memory` returned.

        Raises
        ------
        BadRun
            If the training was begun with another atlas.
        """
        if memory.get("atlas") != self.atlas.hash:
            raise BadRun(
                f"This training was begun with another atlas than {self.atlas.hash}, "
                "which its configuration makes of the cohort now",
                expected="the cohort as it was when the training began",
                next_step="Restore the cohort, or start a new run",
            )
        self.queues.load(memory["queues"])
        self.meter.load(memory["meter"])

    def export(self, folder: Path, *, step: int) -> None:
        """Write the encoder with batch-norm statistics of all landmarks."""
        encoder = copy.deepcopy(self.encoder)
        clean = clean_batches(
            self.data,
            self.locations,
            patch=self.patch,
            batches=self.config.clean_batches,
            seed=self.seed,
        )
        recalibrate_batch_norm(encoder, clean)
        card = self.card.model_copy(update={"step": step})
        if self.by_voxel is not None:
            save_decoder(folder, self.by_voxel.unet)
        save_encoder(folder, encoder, card)
        report = json.dumps(self.placed.report(), indent=1)
        write_text(folder / "locations.json", report)
        self._exported = (encoder,)

    def previews(self, folder: Path, *, step: int) -> list[Preview]:
        """Draw the nearest patches of a few queries, by the encoder just exported."""
        if not self._exported or step == 0:
            return []
        name = f"nearest_{step:07}.png"
        draw_nearest(
            self._exported[0],
            self.data,
            self.locations,
            patch=self.patch,
            shown=self.card.core_voxels,
            seed=self.seed,
            path=folder / name,
        )
        self._exported = ()
        return [Preview(step=step, file=name, caption=_CAPTION)]
