"""DrasCLR: patches of one place are told apart between patients.

After Yu et al., "DrasCLR: A self-supervised framework of learning disease-related and
anatomy-specific representation for 3D medical images", Medical Image Analysis 2023.
What the released code does otherwise, and why this does not, is in ``docs/drasclr.md``.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from scanlearn.anatomy.landmarks import Atlas
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.drasclr import DrasclrConfig
from scanlearn.config.engine import EngineConfig, OptimiserConfig
from scanlearn.config.run import RunConfig
from scanlearn.engine.recipe import Batch, Recipe, StepResult
from scanlearn.errors import BadCohort
from scanlearn.nets.contrast import contrastive_loss, local_logits, retrieval_accuracy
from scanlearn.nets.location_encoder import LocationEncoder, ProjectionHead
from scanlearn.nets.recalibrate import recalibrate_batch_norm
from scanlearn.randomness import numpy_generator, torch_generator
from scanlearn.recipes.encoder_file import EncoderCard, save_encoder
from scanlearn.recipes.pretrain.contrast_health import ContrastHealth
from scanlearn.recipes.pretrain.landmark_batches import (
    LandmarkBatches,
    LandmarkPlan,
    PatchRequest,
)
from scanlearn.recipes.pretrain.patches import PatchData, cohort_atlas, collate
from scanlearn.recipes.pretrain.queues import LandmarkQueues
from scanlearn.runs.events import Health
from scanlearn.views.affine import AffineViews, apply_affine
from scanlearn.views.intensity import IntensityViews
from scanlearn.views.normalise import normalised

#: Queue length over cohort size above which a queue is mostly one's own old keys.
_QUEUE_SHARE = 0.8

#: A visit lasts this many times the steps that fill a queue once.
_FILLS_A_VISIT = 1.5

#: Clean batches, and patches in each, from which batch-norm statistics are estimated
#: before an export. With 16 patches a batch variances come out 15 % too large.
_CLEAN_BATCHES, _CLEAN_SIZE = 8, 64


class Drasclr(Recipe):
    """Local contrast with a location-conditioned encoder and a queue a landmark.

    Parameters
    ----------
    run
        The whole configuration; its recipe is a :class:`DrasclrConfig`.
    """

    locations: Tensor

    def __init__(self, run: RunConfig) -> None:
        super().__init__()
        assert isinstance(run.recipe, DrasclrConfig)
        self.config = config = run.recipe
        self.seed = run.engine.seed
        self.cohorts = WorkingCohorts(run.cohorts, config.spacing_mm)
        self.atlas: Atlas = cohort_atlas(self.cohorts, config.landmarks)
        self.patch, self.context = _sides(config, min(self.cohorts.spacing_mm))
        self.data = PatchData(self.cohorts, self.atlas, side=self.context)
        self.plan = _plan(config, self.cohorts, self.atlas, seed=self.seed)

        encoder = config.encoder
        self.encoder = LocationEncoder(
            width=encoder.width, dim=encoder.dim, experts=encoder.experts
        )
        self.head = ProjectionHead(encoder.dim, config.head_dim)
        self.teacher = copy.deepcopy(nn.ModuleList([self.encoder, self.head]))
        self.teacher.requires_grad_(requires_grad=False)
        self.register_buffer(
            "locations", torch.from_numpy(self.atlas.landmarks), persistent=False
        )
        self.queues = LandmarkQueues(
            len(self.atlas.landmarks),
            queue_length(config, patients=len(self.plan.scans_of)),
            config.head_dim,
        )
        voxel = min(self.cohorts.spacing_mm)
        views = config.views
        self.affine = AffineViews(
            views.rotate_degrees, views.shift_mm / voxel, views.scale
        )
        self.intensity = IntensityViews(
            views.noise_hu,
            views.noise_probability,
            views.gamma,
            views.gamma_probability,
        )
        self.meter = ContrastHealth(batch=self.plan.batch)
        self._step = self._part = self._rank = 0

    @property
    def optimiser(self) -> OptimiserConfig:
        """The optimiser's settings."""
        return self.config.optimiser

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return the query encoder and head; the teacher follows them."""
        return [{"params": [*self.encoder.parameters(), *self.head.parameters()]}]

    def batches(
        self, first_step: int, engine: EngineConfig, accelerator: Accelerator
    ) -> Iterator[Batch]:
        """Yield ``voxels``, ``landmarks`` and ``patients`` of this process."""
        self._rank = accelerator.process_index
        self.queues.to(accelerator.device)
        world = accelerator.num_processes
        self.meter.batch = self.plan.batch // world
        requests = LandmarkBatches(
            self.plan, first_step * engine.accumulate, rank=self._rank, world=world
        )
        return iter(
            DataLoader(
                self.data,
                batch_sampler=requests,
                collate_fn=collate,
                num_workers=engine.workers,
                pin_memory=accelerator.device.type == "cuda",
            )
        )

    def before_step(self, step: int, steps: int) -> None:
        """Note the step, whose views and shuffles are drawn from its own stream."""
        self._step, self._part = step, 0

    def forward(self, batch: Batch) -> StepResult:
        """Compare two views of each patch with keys of other patients."""
        self._part += 1  # with several batches a step, each has views of its own
        voxels, landmarks = batch["voxels"], batch["landmarks"]
        patients = batch["patients"]
        groups = voxels.shape[:2]
        where = self.locations[landmarks]
        queries = self.head(self.encoder(self.view(voxels, "query"), where))
        queries = F.normalize(queries.float(), dim=-1).view(*groups, -1)
        keys = self.keys(self.view(voxels, "key"), where).view(*groups, -1)
        logits = local_logits(
            queries,
            keys,
            patients,
            self.queues.at(landmarks),
            temperature=self.config.temperature,
            in_batch=self.config.in_batch,
        )
        loss = contrastive_loss(logits)
        accuracy = retrieval_accuracy(queries.detach(), keys)
        self.meter.add(queries.detach(), keys, logits.detach(), accuracy)
        return StepResult(
            loss,
            values={"retrieval": accuracy},
            carry={"landmarks": landmarks, "keys": keys, "patients": patients},
        )

    def view(self, voxels: Tensor, name: str) -> Tensor:
        """Make a random view (G * B, 1, P, P, P) of patches in context."""
        x = voxels.flatten(0, 1)
        place = self._step, self._part, self._rank
        generator = torch_generator(self.seed, "views", name, *place, device=x.device)
        maps = self.affine.sample(len(x), generator)
        x = apply_affine(x, maps, size=self.patch)
        x = self.intensity.apply(x, self.intensity.sample(len(x), generator))
        return normalised(x)

    @torch.no_grad()
    def keys(self, x: Tensor, where: Tensor) -> Tensor:
        """Encode keys with the teacher, after it has moved towards the student.

        The keys of a location are split into two random halves with batch-norm
        statistics of their own, so that the statistics of a batch cannot betray which
        key belongs to which query: the single-device form of shuffling batch norm.
        """
        self._follow()
        groups = len(where)
        x = x.view(groups, -1, *x.shape[1:])
        place = self._step, self._part, self._rank
        generator = torch_generator(self.seed, "shuffle", *place)
        order = torch.randperm(x.shape[1], generator=generator).to(x.device)
        encoder, head = self.teacher
        # A half of one patch has no statistics: two or three patches stay together.
        halves = 2 if groups * (len(order) // 2) > 1 else 1
        parts = [
            head(encoder(x[:, half].flatten(0, 1), where)).view(groups, len(half), -1)
            for half in order.chunk(halves)
        ]
        keys = torch.cat(parts, dim=1)[:, order.argsort()]
        return F.normalize(keys.float(), dim=-1)

    def _follow(self) -> None:
        """Move the teacher: theta_k <- m theta_k + (1 - m) theta_q."""
        student: list[Tensor] = [*self.encoder.parameters(), *self.head.parameters()]
        teacher: list[Tensor] = list(self.teacher.parameters())
        torch._foreach_lerp_(teacher, student, 1 - self.config.momentum)

    def after_step(self, carry: Batch) -> None:
        """Enqueue the keys of all processes at their landmarks."""
        self.queues.put(carry["landmarks"], carry["keys"], carry["patients"])

    def health(self, step: int) -> Health | None:
        """Judge by retrieval inside the batch, not by the loss."""
        return self.meter.report(step, queue_fill=self.queues.fill)

    def memory(self) -> dict[str, Any]:
        """Return the queues and the health meter."""
        return {"queues": self.queues.state(), "meter": self.meter.state()}

    def remember(self, memory: dict[str, Any]) -> None:
        """Take back the queues and the health meter."""
        self.queues.load(memory["queues"])
        self.meter.load(memory["meter"])

    def export(self, folder: Path, *, step: int) -> None:
        """Write the encoder with batch-norm statistics of all landmarks."""
        encoder = copy.deepcopy(self.encoder)
        recalibrate_batch_norm(encoder, self._clean_batches())
        config = self.config.encoder
        card = EncoderCard(
            method="drasclr",
            width=config.width,
            dim=config.dim,
            experts=config.experts,
            patch_voxels=self.patch,
            spacing_mm=self.cohorts.spacing_mm,
            pooling=self.cohorts.scans[0].factor,
            units=self.cohorts.scans[0].units,
            atlas=self.atlas.to_dict(),
            step=step,
        )
        save_encoder(folder, encoder, card)

    def _clean_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield unchanged patches of random landmarks and scans."""
        rng = numpy_generator(self.seed, "clean")
        margin = (self.context - self.patch) // 2
        inner = slice(margin, margin + self.patch)
        for _ in range(_CLEAN_BATCHES):
            landmarks = rng.integers(
                len(self.atlas.landmarks), size=_CLEAN_SIZE
            ).tolist()
            scans = rng.integers(len(self.cohorts.scans), size=_CLEAN_SIZE).tolist()
            patches = [
                self.data[PatchRequest(landmark, scan)].voxels[inner, inner, inner]
                for landmark, scan in zip(landmarks, scans, strict=True)
            ]
            x = torch.stack(patches)[:, None].to(self.locations.device)
            yield normalised(x), self.locations[landmarks]


def queue_length(config: DrasclrConfig, *, patients: int) -> int:
    """Return how many keys a landmark keeps: sized to the cohort, in whole batches.

    A queue longer than the cohort holds mostly keys of the query's own patient, which
    are masked. Without a queue the rest of the batch must serve, if it may.
    """
    batch = min(config.batch, patients)
    most = min(config.queue, int(_QUEUE_SHARE * patients))
    length = most // batch * batch
    return length if length or config.in_batch else batch


def _sides(config: DrasclrConfig, voxel_mm: float) -> tuple[int, int]:
    """Return the sides of a patch and of what is read around it, in voxels."""
    patch = max(16, round(config.landmarks.patch_mm / voxel_mm / 16) * 16)
    if not config.views.context:
        return patch, patch
    return patch, patch + 2 * math.ceil(config.views.shift_mm / voxel_mm)


def _plan(
    config: DrasclrConfig, cohorts: WorkingCohorts, atlas: Atlas, *, seed: int
) -> LandmarkPlan:
    """Fill a batch: all patients there are, on as many landmarks as make it full."""
    scans_of = tuple(tuple(scans) for scans in cohorts.patients().values())
    if len(scans_of) < 2:
        raise BadCohort(
            f"The cohort has scans of {len(scans_of)} patient",
            expected="at least 2 patients: DrasCLR learns by telling patients apart",
            next_step="Add scans of other patients with 'scanlearn prepare'",
        )
    batch = min(config.batch, len(scans_of))
    groups = min(max(1, config.batch // batch), len(atlas.landmarks))
    length = queue_length(config, patients=len(scans_of))
    visit = config.visit or max(1, math.ceil(_FILLS_A_VISIT * length / batch))
    return LandmarkPlan(
        landmarks=len(atlas.landmarks),
        scans_of=scans_of,
        groups=groups,
        batch=batch,
        visit=visit,
        seed=seed,
    )
