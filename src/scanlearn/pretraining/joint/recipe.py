"""Joint 2D/3D pre-training: images, volumes as sequences of slices, hidden slices.

After Nguyen et al., "Joint Self-Supervised Image-Volume Representation Learning with
Intra-Inter Contrastive Clustering", AAAI 2023. What the released code does otherwise,
and why this does not, is in ``docs/joint.md``.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader

from scanlearn.config.engine import EngineConfig
from scanlearn.engine.recipe import Batch, StepResult, check_share
from scanlearn.pretraining.joint.agreement import Agreement
from scanlearn.pretraining.joint.cluster_health import Use, use_of
from scanlearn.pretraining.joint.networks import JointNetworks
from scanlearn.pretraining.joint.slice_batches import (
    Requests,
    Stage,
)
from scanlearn.runs.events import Health


class Joint(JointNetworks):
    """Three stages: images alone, hidden slices with the trunk frozen, all together.

    What it is made of, and what it leaves, is in :class:`JointNetworks`.
    """

    @property
    def stage(self) -> Stage:
        """The stage of the current step."""
        return self.plan.schedule.at(self._step)

    def rate(self, step: int, steps: int) -> float:
        """Return the learning rate of a step, which may begin anew in every stage."""
        return self.plan.schedule.rate(step, self.optimiser)

    def batches(
        self, first_step: int, engine: EngineConfig, accelerator: Accelerator
    ) -> Iterator[Batch]:
        """Yield what :class:`~.slice_batches.SliceData` gives."""
        world = accelerator.num_processes
        for deck in self.plan.decks:
            check_share(deck.size - deck.size % world, world, least=1)
        requests = Requests(
            self.plan,
            first_step * engine.accumulate,
            rank=accelerator.process_index,
            world=world,
        )
        return iter(
            DataLoader(
                self.data,
                sampler=requests,
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
        if self.by_pixel is not None and not frozen:
            self.by_pixel.begin()

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
        if "crops" in batch:
            self._dense(batch, result)
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

    def _of_volumes(self, batch: Batch, result: StepResult) -> None:
        config, joint = self.config, self.stage == "joint"
        tokens, lengths = (
            self.volume_tokens(batch, "views")
            if joint
            else self.kept.of(batch["volume_ids"], size=int(batch["longest"]))
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
            losses = self.hidden.losses(
                self.encoder.transformer,
                tokens,
                lengths,
                share=config.mask_share,
                generator=self._generator("hidden", tokens.device),
            )
            weight = config.masked if joint else 1.0
            result.loss = result.loss + weight * losses["masked"]
            result.values |= {name: x.detach() for name, x in losses.items()}

    def _dense(self, batch: Batch, result: StepResult) -> None:
        assert self.by_pixel is not None
        loss = self.by_pixel(
            batch["crops"],
            batch["crop_features"],
            batch["crop_sources"],
            batch["crop_hu"],
            batch["crop_film"],
            self._generator("pixels", batch["crops"].device),
        )
        result.loss = result.loss + self.config.dense * loss
        result.values["dense"] = loss.detach() / self.by_pixel.chance

    def after_step(self, carry: Batch) -> None:
        """Remember the features of the step."""
        if "image_ids" in carry:
            views = carry["image_views"].transpose(0, 1)
            self.by_image.keep(views, carry["image_ids"])
            self.meter.features(views[0])
        if "volume_ids" in carry and self.by_volume is not None:
            views = carry["volume_views"].transpose(0, 1)
            self.by_volume.keep(views, carry["volume_ids"])

    def health(self, step: int) -> Health | None:
        """Judge by the use of the clusters and the spread of the features."""
        return self.meter.report(step, self.uses())

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
