"""The networks of a joint training, what they see, and what they leave."""

from __future__ import annotations

import copy
from abc import ABC
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from scanlearn import processes
from scanlearn.cohort.slices import slice_cohorts
from scanlearn.config.engine import OptimiserConfig
from scanlearn.config.joint import JointConfig
from scanlearn.config.run import RunConfig
from scanlearn.encoders.decoder_file import save_decoder
from scanlearn.encoders.encoder_file import save_encoder
from scanlearn.engine.recipe import Batch, Recipe
from scanlearn.nets.slice_encoder import ImageHead
from scanlearn.nets.slice_transformer import HiddenSlices
from scanlearn.pretraining.joint.agreement import Agreement
from scanlearn.pretraining.joint.clean_images import estimate_on_images
from scanlearn.pretraining.joint.cluster_health import ClusterHealth
from scanlearn.pretraining.joint.cluster_previews import draw_clusters
from scanlearn.pretraining.joint.kept_tokens import KeptTokens
from scanlearn.pretraining.joint.sizes import (
    JointViewSets,
    agreement_of,
    pixel_agreement,
    pixel_crops,
    slice_encoder_card,
    source_message,
    step_plan,
    take_trunk,
)
from scanlearn.pretraining.joint.slice_batches import (
    SliceData,
)
from scanlearn.randomness import torch_generator
from scanlearn.runs.events import Message, Preview
from scanlearn.views.kind_views import KindViews


class JointNetworks(Recipe, ABC):
    """Encoder, heads and clusters, fitted to the cohorts, without the losses.

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
        crops = pixel_crops(config, self.cohorts, seed=self.seed)
        self.data = SliceData(self.cohorts, config, crops)
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
        self.by_pixel = pixel_agreement(config, self.encoder, crops)
        self.views = JointViewSets.of(config)
        self.meter = ClusterHealth()
        self.kept = KeptTokens(self.data, self.encoder)
        self._step = self._part = 0

    @property
    def optimiser(self) -> OptimiserConfig:
        """The optimiser's settings."""
        return self.config.optimiser

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Return all parameters; a stage leaves those alone that it does not use."""
        return [{"params": list(self.parameters())}]

    def image_features(self, batch: Batch, name: str) -> list[Tensor]:
        """Return the unit features (n, d) of each crop, the two large ones first."""
        x, hu, film = batch["images"], batch["image_hu"], batch["image_film"]
        found: list[Tensor] = []
        for kind, views, count in self.views.crops:
            crops = [
                self._view(views, x, hu, film, f"{name} {kind} {c}")
                for c in range(count)
            ]
            if crops:
                _, last = self.encoder.images(torch.cat(crops))
                found += self.head(last).chunk(count)
        return found

    def volume_tokens(self, batch: Batch, name: str) -> tuple[Tensor, Tensor]:
        """Return the tokens (2B, N, D) of two views of each volume, and lengths."""
        x, hu = batch["volumes"], batch["volume_hu"]
        film = torch.zeros_like(hu)
        views = [
            self._view(self.views.volume, x, hu, film, f"{name} {n}") for n in range(2)
        ]
        lengths = batch["lengths"].repeat(2)
        return self.encoder.tokens(torch.cat(views), lengths), lengths

    def _view(
        self, views: KindViews, x: Tensor, hu: Tensor, film: Tensor, name: str
    ) -> Tensor:
        generator = self._generator(name, x.device)
        draw = views.sample(processes.spread(hu), processes.spread(film), generator)
        return views.apply(x, processes.share(draw), hu)

    def _generator(self, name: str, device: torch.device) -> torch.Generator:
        return torch_generator(self.seed, name, self._step, self._part, device=device)

    def messages(self) -> list[Message]:
        """Say what came from where."""
        return [*source_message(self.cohorts, self.plan), *self.taken]

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
        """Write trunk, token, transformer and decoder, with norms of whole images."""
        encoder = copy.deepcopy(self.encoder)
        estimate_on_images(
            encoder,
            self.cohorts,
            side=self.config.slice_side,
            images=self.config.clean_images,
            seed=self.seed,
        )
        trained = self._trained_transformer(step)
        card = self.card.model_copy(update={"step": step, "holistic": trained})
        if self.by_pixel is not None:
            save_decoder(folder, self.by_pixel.unet)
        save_encoder(folder, encoder, card)
