"""DrasCLR: patches of one place are told apart between patients.

After Yu et al., "DrasCLR: A self-supervised framework of learning disease-related and
anatomy-specific representation for 3D medical images", Medical Image Analysis 2023.
What the released code does otherwise, and why this does not, is in ``docs/drasclr.md``.
"""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader

from scanlearn.cohort.atlas_on_scans import place_cohorts
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.drasclr import DrasclrConfig
from scanlearn.config.engine import EngineConfig, OptimiserConfig
from scanlearn.config.run import RunConfig
from scanlearn.encoders.encoder_file import Encoder, save_encoder
from scanlearn.engine.recipe import Batch, Recipe, StepResult, check_share
from scanlearn.errors import BadRun
from scanlearn.files import write_text
from scanlearn.nets.conditional_conv import ignore_locations
from scanlearn.nets.contrast import (
    contrastive_loss,
    local_logits,
    neighbour_queries,
    retrieval_accuracy,
)
from scanlearn.nets.location_encoder import ProjectionHead
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
from scanlearn.randomness import torch_generator
from scanlearn.runs.events import Health, Message, Preview

_CAPTION = "A patch, and the most alike of other patients at the same place"


class Drasclr(Recipe):
    """Local and neighbouring contrast with a location-conditioned encoder.

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
        self.meter = ContrastHealth(batch=self.plan.batch)
        self._step = self._part = self._rank = 0
        # In a tuple, for a module's attribute would become a part of its state.
        self._exported: tuple[Encoder, ...] = ()

    @property
    def optimiser(self) -> OptimiserConfig:
        """The optimiser's settings."""
        return self.config.optimiser

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the query encoder and head; the teacher follows them."""
        return [{"params": self._student()}]

    def _student(self) -> list[Tensor]:
        return [*self.encoder.parameters(), *self.head.parameters()]

    def batches(
        self, first_step: int, engine: EngineConfig, accelerator: Accelerator
    ) -> Iterator[Batch]:
        """Yield what :func:`~scanlearn.pretraining.drasclr.patches.collate` gives."""
        self._rank = accelerator.process_index
        self.queues.to(accelerator.device)
        world = accelerator.num_processes
        check_share(self.plan.batch, world, least=2)
        self.meter.batch = self.plan.batch // world
        requests = LandmarkBatches(
            self.plan, first_step * engine.accumulate, rank=self._rank, world=world
        )
        return iter(
            DataLoader(
                self.data,
                batch_sampler=requests,
                collate_fn=functools.partial(collate, neighbours=self.plan.near),
                num_workers=engine.workers,
                pin_memory=accelerator.device.type == "cuda",
            )
        )

    def before_step(self, step: int, steps: int) -> None:
        """Note the step, whose views and shuffles are drawn from its own stream."""
        self._step, self._part = step, 0

    def forward(self, batch: Batch) -> StepResult:
        """Find the keys of patches by another view of each, and by its neighbours."""
        self._part += 1  # with several batches a step, each has views of its own
        voxels, landmarks = batch["voxels"], batch["landmarks"]
        queries = self._queries(self.view(voxels, "query"), landmarks)
        queries = queries.view(*voxels.shape[:2], -1)
        around = self._neighbours(batch)
        keys = self.keys(self.view(voxels, "key"), self.locations[landmarks])
        logits = self._logits(queries, keys, batch)
        loss = contrastive_loss(logits)
        accuracy = retrieval_accuracy(queries.detach(), keys)
        self.meter.add(queries.detach(), keys, logits.detach(), accuracy)
        values = {"retrieval": accuracy}
        if around is not None:
            further = contrastive_loss(self._logits(around, keys, batch))
            values |= {"local": loss.detach(), "neighbouring": further.detach()}
            loss = loss + self.config.beta * further
        carry = {"landmarks": landmarks, "keys": keys, "patients": batch["patients"]}
        return StepResult(loss, values=values, carry=carry)

    def _queries(self, x: Tensor, landmarks: Tensor) -> Tensor:
        z = self.head(self.encoder(x, self.locations[landmarks]))
        return F.normalize(z.float(), dim=-1)

    def _neighbours(self, batch: Batch) -> Tensor | None:
        """Encode the neighbours of each patch into one query (G, B, D).

        They pass apart from the anchors, so that their batch-norm statistics do not
        mix: the anchors' keys are made without neighbours too.
        """
        counts = self.config.beta and self._step >= self.config.beta_after
        if not (counts and "near_voxels" in batch):
            return None
        landmarks = batch["near_landmarks"]  # (G, R)
        x = self.near_view(batch["near_voxels"])
        r = self._queries(x, landmarks.flatten())
        mean = self.config.neighbour_similarity == "mean"
        batch_size = batch["voxels"].shape[1]
        return neighbour_queries(r.view(*landmarks.shape, batch_size, -1), mean=mean)

    def _logits(self, queries: Tensor, keys: Tensor, batch: Batch) -> Tensor:
        return local_logits(
            queries,
            keys,
            batch["patients"],
            self.queues.at(self._slots(batch["landmarks"])),
            temperature=self.config.temperature,
            in_batch=self.config.in_batch,
        )

    def view(self, voxels: Tensor, name: str) -> Tensor:
        """Make a random view (G * B, 1, P, P, P) of patches (G, B, 1, S, S, S)."""
        return self._view(voxels.flatten(0, 1), name)

    def near_view(self, voxels: Tensor) -> Tensor:
        """Make a view (G * R * B, 1, P, P, P) of neighbours (G, R, B, S, S, S).

        The neighbours of a patch are the channels of one sample: one affine map and one
        gamma for all of them, as in the release.
        """
        groups, near, batch = voxels.shape[:3]
        x = voxels.transpose(1, 2).flatten(0, 1)
        x = self._view(x, "neighbours").view(groups, batch, near, *[self.patch] * 3)
        return x.transpose(1, 2).flatten(0, 2)[:, None]

    def _view(self, x: Tensor, name: str) -> Tensor:
        place = self._step, self._part, self._rank
        generator = torch_generator(self.seed, "views", name, *place, device=x.device)
        return self.views.apply(x, self.views.sample(len(x), generator))

    def keys(self, x: Tensor, where: Tensor) -> Tensor:
        """Encode keys (G, B, D) with the teacher, after it has followed the student."""
        self.teacher.follow(self._student(), self.config.momentum)
        place = self._step, self._part, self._rank
        generator = torch_generator(self.seed, "shuffle", *place)
        order = torch.randperm(len(x) // len(where), generator=generator)
        return self.teacher.keys(x, where, order.to(x.device))

    def after_step(self, carry: Batch) -> None:
        """Enqueue the keys of all processes at their landmarks."""
        slots = self._slots(carry["landmarks"])
        self.queues.put(slots, carry["keys"], carry["patients"])

    def _slots(self, landmarks: Tensor) -> Tensor:
        """Return which queues belong to landmarks."""
        return torch.zeros_like(landmarks) if self.config.shared_queue else landmarks

    def messages(self) -> list[Message]:
        """Say how the scans were placed in the atlas."""
        return self.placed.messages()

    def health(self, step: int) -> Health | None:
        """Judge by retrieval inside the batch, not by the loss."""
        return self.meter.report(step, queue_fill=self.queues.fill)

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
