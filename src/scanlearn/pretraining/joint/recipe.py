"""Joint 2D/3D pre-training: images, volumes as sequences of slices, hidden slices.

After Nguyen et al., "Joint Self-Supervised Image-Volume Representation Learning with
Intra-Inter Contrastive Clustering", AAAI 2023. What the released code does otherwise,
and why this does not, is in ``docs/joint.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.data import DataLoader

from scanlearn.cohort.slices import slice_cohorts
from scanlearn.config.engine import EngineConfig, OptimiserConfig
from scanlearn.config.joint import JointConfig
from scanlearn.config.run import RunConfig
from scanlearn.encoders.encoder_file import save_encoder
from scanlearn.engine.recipe import Batch, Recipe, StepResult
from scanlearn.errors import BadConfig
from scanlearn.nets.slice_encoder import ImageHead
from scanlearn.nets.slice_transformer import (
    HiddenSlices,
    copied_loss,
    hidden_loss,
    hidden_slices,
)
from scanlearn.pretraining.joint.agreement import Agreement
from scanlearn.pretraining.joint.cluster_health import ClusterHealth, Use, use_of
from scanlearn.pretraining.joint.cluster_previews import draw_clusters
from scanlearn.pretraining.joint.kept_tokens import KeptTokens
from scanlearn.pretraining.joint.sizes import (
    JointViewSets,
    agreement_of,
    slice_encoder_card,
    source_message,
    step_plan,
    take_trunk,
)
from scanlearn.pretraining.joint.slice_batches import (
    Requests,
    SliceData,
    Stage,
)
from scanlearn.randomness import torch_generator
from scanlearn.runs.events import Health, Message, Preview
from scanlearn.views.crop_views import CropViews


class Joint(Recipe):
    """Three stages: images alone, hidden slices with the trunk frozen, all together.

    Parameters
    ----------
    run
        The whole configuration; its recipe is a :class:`JointConfig`.
    """

    def __init__(self, run: RunConfig) -> None:
        super().__init__()
        self.config = config = run.section(JointConfig)
        self.seed = run.engine.seed
        self.cohorts = slice_cohorts(run.cohorts, config)
        self.data = SliceData(self.cohorts, config)
        self.plan = step_plan(config, self.cohorts, run.engine)
        self.card = slice_encoder_card(config, self.cohorts)
        self.encoder = self.card.build()
        self.taken = take_trunk(self.encoder, run.start_from)
        self.head = ImageHead(self.encoder.trunk.dims[-1], config.head_dim)
        self.hidden = HiddenSlices(config.transformer.dim)
        self.by_image = agreement_of(config, self.cohorts.images, seed=self.seed)
        self.by_volume: Agreement | None = None
        if self.plan.volumes is not None:
            volumes = self.cohorts.volumes
            self.by_volume = agreement_of(config, volumes, seed=self.seed)
        self.views = JointViewSets.of(config)
        self.meter = ClusterHealth()
        self.kept = KeptTokens(self.data, self.encoder)
        self._step = self._part = 0

    @property
    def optimiser(self) -> OptimiserConfig:
        """The optimiser's settings."""
        return self.config.optimiser

    @property
    def stage(self) -> Stage:
        """The stage of the current step."""
        return self.plan.schedule.at(self._step)

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return all parameters; a stage leaves those alone that it does not use."""
        return [{"params": list(self.parameters())}]

    def batches(
        self, first_step: int, engine: EngineConfig, accelerator: Accelerator
    ) -> Iterator[Batch]:
        """Yield what :class:`~.slice_batches.SliceData` gives."""
        if accelerator.num_processes > 1:
            raise BadConfig(
                f"There are {accelerator.num_processes} processes",
                expected="one: the clusters are those of one process",
                next_step="Start it without 'accelerate launch' or 'torchrun'",
            )
        return iter(
            DataLoader(
                self.data,
                sampler=Requests(self.plan, first_step * engine.accumulate),
                batch_size=None,
                num_workers=engine.workers,
                pin_memory=accelerator.device.type == "cuda",
            )
        )

    def before_step(self, step: int, steps: int) -> None:
        """Freeze what the stage freezes; group features anew where an epoch begins."""
        self._step, self._part = step, 0
        frozen = self.stage == "mask"
        self.encoder.trunk.requires_grad_(not frozen)
        self.encoder.project.requires_grad_(not frozen)
        self.encoder.train(not frozen)
        self.encoder.transformer.train()
        if not frozen:
            self.kept.forget()
        number = (step - self.plan.schedule.starts[self.stage]) * self.plan.accumulate
        if self._uses_images:
            epoch = number // self.plan.images.batches
            self._begin(self.by_image, f"{self.stage} {epoch}")
        if self._uses_volumes and self.by_volume is not None:
            assert self.plan.volumes is not None
            epoch = number // self.plan.volumes.batches
            self._begin(self.by_volume, f"{self.stage} {epoch}")

    @property
    def _uses_images(self) -> bool:
        return self.stage == "warm" or (self.stage == "joint" and self.config.intra > 0)

    @property
    def _uses_volumes(self) -> bool:
        return self.stage == "joint" and self.config.inter > 0

    @torch.no_grad()
    def _begin(self, agreement: Agreement, epoch: str) -> None:
        """Begin an epoch; before the first, look at every sample once."""
        if agreement.needs_filling:
            images = agreement is self.by_image
            size = self.config.batch if images else self.config.volume_batch
            for numbers in torch.arange(len(agreement.assigned)).split(size):
                if images:
                    batch = self._on_device(self.data.images(numbers.tolist()))
                    views = self.image_features(batch, "fill")
                else:
                    batch = self._on_device(self.data.stacks(numbers.tolist()))
                    tokens, lengths = self.volume_tokens(batch, "fill")
                    views = list(self.encoder.volumes(tokens, lengths).chunk(2))
                agreement.keep(torch.stack(views[:2]), numbers)
                self._part += 1
            self._part = 0
        agreement.begin(epoch)

    def _on_device(self, batch: Batch) -> Batch:
        device = self.hidden.token.device
        return {name: x.to(device) for name, x in batch.items()}

    def forward(self, batch: Batch) -> StepResult:
        """Add up the losses of the stage."""
        self._part += 1  # with several batches a step, each has views of its own
        result = StepResult(loss=self.hidden.token.new_zeros(()))
        if "image_ids" in batch:
            self._intra(batch, result)
        if "volume_ids" in batch:
            self._of_volumes(batch, result)
        self.meter.add(result.values)
        return result

    def _intra(self, batch: Batch, result: StepResult) -> None:
        views = self.image_features(batch, "views")
        loss = self.by_image(views, batch["image_ids"])
        large = torch.stack(views[:2]).detach()
        result.loss = result.loss + loss * (
            1.0 if self.stage == "warm" else self.config.intra
        )
        result.values["intra"] = loss.detach() / self.by_image.chance
        result.carry["image_ids"] = batch["image_ids"]
        result.carry["image_views"] = large.transpose(0, 1)

    def image_features(self, batch: Batch, name: str) -> list[Tensor]:
        """Return the unit features (n, d) of each crop, the two large ones first."""
        x, hu = batch["images"], batch["image_hu"]
        found: list[Tensor] = []
        for kind, views, count in self.views.crops:
            crops = [
                self._view(views, x, hu, f"{name} {kind} {c}") for c in range(count)
            ]
            if crops:
                _, last = self.encoder.images(torch.cat(crops))
                found += self.head(last).chunk(count)
        return found

    def _of_volumes(self, batch: Batch, result: StepResult) -> None:
        config, joint = self.config, self.stage == "joint"
        tokens, lengths = (
            self.volume_tokens(batch, "views")
            if joint
            else self.kept.of(batch["volume_ids"])
        )
        if joint and config.inter:
            assert self.by_volume is not None
            z = self.encoder.volumes(tokens, lengths)
            loss = self.by_volume(z.chunk(2), batch["volume_ids"])
            result.loss = result.loss + config.inter * loss
            result.values["inter"] = loss.detach() / self.by_volume.chance
            result.carry["volume_ids"] = batch["volume_ids"]
            result.carry["volume_views"] = torch.stack(z.detach().chunk(2), dim=1)
        if config.masked or not joint:
            loss = self._masked(tokens, lengths, result)
            result.loss = result.loss + loss * (config.masked if joint else 1.0)

    def _masked(self, tokens: Tensor, lengths: Tensor, result: StepResult) -> Tensor:
        hidden = hidden_slices(
            lengths,
            tokens.shape[1],
            share=self.config.mask_share,
            generator=self._generator("hidden", tokens.device),
        )
        shown = self.hidden.hide(tokens, hidden)
        predicted = self.hidden.decoder(self.encoder.transformer(shown, lengths))
        loss = hidden_loss(predicted, tokens, hidden)
        result.values["masked"] = loss.detach()
        result.values["copied"] = copied_loss(tokens.detach(), hidden, lengths)
        return loss

    def volume_tokens(self, batch: Batch, name: str) -> tuple[Tensor, Tensor]:
        """Return the tokens (2B, N, D) of two views of each volume, and lengths."""
        x, hu = batch["volumes"], batch["volume_hu"]
        views = [self._view(self.views.volume, x, hu, f"{name} {n}") for n in range(2)]
        lengths = batch["lengths"].repeat(2)
        return self.encoder.tokens(torch.cat(views), lengths), lengths

    def _view(self, views: CropViews, x: Tensor, hu: Tensor, name: str) -> Tensor:
        generator = self._generator(name, x.device)
        return views.apply(x, views.sample(hu, generator), hu)

    def _generator(self, name: str, device: torch.device) -> torch.Generator:
        return torch_generator(self.seed, name, self._step, self._part, device=device)

    def after_step(self, carry: Batch) -> None:
        """Remember the features of the step."""
        if "image_ids" in carry:
            views = carry["image_views"].transpose(0, 1)
            self.by_image.keep(views, carry["image_ids"])
            self.meter.features(views[0])
        if "volume_ids" in carry and self.by_volume is not None:
            views = carry["volume_views"].transpose(0, 1)
            self.by_volume.keep(views, carry["volume_ids"])

    def messages(self) -> list[Message]:
        """Say what came from where."""
        return [*source_message(self.cohorts, self.plan), *self.taken]

    def health(self, step: int) -> Health | None:
        """Judge by the use of the clusters and the spread of the features."""
        return self.meter.report(step, self.uses())

    def previews(self, folder: Path, *, step: int) -> list[Preview]:
        """Draw examples of the clusters, and where the heads look."""
        if step == 0 or not self.by_image.epoch:
            return []
        name, volumes = f"clusters_{step:07}.png", self.by_volume
        caption = draw_clusters(
            folder / name,
            self.data,
            self.by_image.assigned,
            volumes.assigned if volumes is not None and volumes.epoch else None,
            self.encoder.eval() if self._trained_transformer(step) else None,
            seed=self.seed,
        )
        return [Preview(step=step, file=name, caption=caption)]

    def _trained_transformer(self, step: int) -> bool:
        starts = self.plan.schedule.starts
        begun = [first for stage, first in starts.items() if stage != "warm"]
        return self.by_volume is not None and any(first < step for first in begun)

    def uses(self) -> dict[str, Use]:
        """Return how images and volumes are spread over their clusters now."""
        pairs = (
            ("images", self._uses_images and self.by_image, self.cohorts.images),
            ("volumes", self._uses_volumes and self.by_volume, self.cohorts.volumes),
        )
        return {
            name: use_of(
                agreement.assigned,
                agreement.before,
                torch.tensor([item.source for item in items]),
                agreement.config.clusters,
            )
            for name, agreement, items in pairs
            if agreement
        }

    def memory(self) -> dict[str, Any]:
        """Return banks, queues, clusters and the health meter."""
        volumes = self.by_volume and self.by_volume.state()
        return {
            "images": self.by_image.state(),
            "volumes": volumes,
            "meter": dict(self.meter.means),
        }

    def remember(self, memory: dict[str, Any]) -> None:
        """Take back what :meth:`memory` returned."""
        self.by_image.load(memory["images"])
        if self.by_volume is not None:
            self.by_volume.load(memory["volumes"])
        self.meter.means = dict(memory["meter"])

    def export(self, folder: Path, *, step: int) -> None:
        """Write trunk, token and transformer."""
        trained = self._trained_transformer(step)
        card = self.card.model_copy(update={"step": step, "holistic": trained})
        save_encoder(folder, self.encoder, card)
