"""DrasCLR: patches of one place are told apart between patients.

After Yu et al., "DrasCLR: A self-supervised framework of learning disease-related and
anatomy-specific representation for 3D medical images", Medical Image Analysis 2023.
What the released code does otherwise, and why this does not, is in ``docs/drasclr.md``.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from scanlearn import processes
from scanlearn.engine.recipe import Batch, StepResult
from scanlearn.nets.contrast import (
    Negatives,
    contrastive_loss,
    local_logits,
    neighbour_queries,
    retrieval_accuracy,
)
from scanlearn.nets.teacher import shuffled_parts
from scanlearn.pretraining.drasclr.networks import DrasclrNetworks
from scanlearn.pretraining.drasclr.voxel_agreement import VoxelAgreement
from scanlearn.randomness import torch_generator
from scanlearn.runs.events import Health


class Drasclr(DrasclrNetworks):
    """Local and neighbouring contrast with a location-conditioned encoder.

    What it is made of, and what it leaves, is in :class:`DrasclrNetworks`.
    """

    def before_step(self, step: int, steps: int) -> None:
        """Note the step, whose views and shuffles are drawn from its own stream."""
        self._step, self._part = step, 0
        if self.by_voxel is not None:
            self.by_voxel.begin()

    def forward(self, batch: Batch) -> StepResult:
        """Find the keys of patches by another view of each, and by its neighbours."""
        self._part += 1  # with several batches a step, each has views of its own
        voxels, landmarks = batch["voxels"], batch["landmarks"]
        queries = self._queries(self.view(voxels, "query"), landmarks)
        queries = queries.view(*voxels.shape[:2], -1)
        around = self._neighbours(batch)
        keys = self.keys(self.view(voxels, "key"), self.locations[landmarks])
        # Keys of other processes are as good negatives as those of this one.
        every = Negatives(
            processes.gathered(keys, 1), processes.gathered(batch["patients"], 1)
        )
        logits = self._logits(queries, keys, batch, every)
        loss = contrastive_loss(logits)
        told = processes.gathered(queries.detach(), 1)
        accuracy = retrieval_accuracy(told, every.keys)
        values, losses = {"retrieval": accuracy}, {"local": loss.detach()}
        if around is not None:
            further = contrastive_loss(self._logits(around, keys, batch, every))
            losses["neighbouring"] = further.detach()
            values |= losses
            loss = loss + self.config.beta * further
        if self.by_voxel is not None:
            dense = self._dense(self.by_voxel, batch)
            losses["dense"] = values["dense"] = dense.detach() / self.by_voxel.chance
            loss = loss + self.config.dense * dense
        self.meter.add(told, every.keys, logits.detach(), accuracy, losses)
        carry = {
            "landmarks": landmarks.expand_as(keys[..., 0].T),
            "keys": keys.transpose(0, 1),
            "patients": batch["patients"].T,
        }
        return StepResult(loss, values=values, carry=carry)

    def _dense(self, by_voxel: VoxelAgreement, batch: Batch) -> Tensor:
        tiles = batch["tiles"]
        generator = self._generator("tiles", device=tiles.device)
        features, boxes = batch["tile_features"], batch["tile_boxes"]
        loss: Tensor = by_voxel(tiles, features, boxes, generator)
        return loss

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

    def _logits(
        self, queries: Tensor, keys: Tensor, batch: Batch, every: Negatives
    ) -> Tensor:
        return local_logits(
            queries,
            keys,
            batch["patients"],
            self.queues.at(self._slots(batch["landmarks"])),
            temperature=self.config.temperature,
            in_batch=self.config.in_batch,
            batch=every,
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
        generator = self._generator("views", name, device=x.device)
        draw = self.views.sample(processes.whole(len(x)), generator)
        return self.views.apply(x, processes.share(draw))

    def _generator(
        self, *names: str, device: torch.device | str = "cpu"
    ) -> torch.Generator:
        # The last number was a process's: runs of before go on with the same views.
        place = self._step, self._part, 0
        return torch_generator(self.seed, *names, *place, device=device)

    def keys(self, x: Tensor, where: Tensor) -> Tensor:
        """Encode keys (G, B, D) with the teacher, after it has followed the student."""
        self.teacher.follow(self._student(), self.config.momentum)
        size = processes.whole(len(x) // len(where))
        order = torch.randperm(size, generator=self._generator("shuffle"))
        parts = shuffled_parts(order.to(x.device), len(where))
        return self.teacher.keys(x, where, [processes.places(part) for part in parts])

    def after_step(self, carry: Batch) -> None:
        """Enqueue the keys of all processes at their landmarks."""
        slots = self._slots(carry["landmarks"][0])
        self.queues.put(slots, carry["keys"].transpose(0, 1), carry["patients"].T)

    def _slots(self, landmarks: Tensor) -> Tensor:
        """Return which queues belong to landmarks."""
        return torch.zeros_like(landmarks) if self.config.shared_queue else landmarks

    def health(self, step: int) -> Health | None:
        """Judge by retrieval inside the batch, not by the loss."""
        return self.meter.report(step, queue_fill=self.queues.fill)
