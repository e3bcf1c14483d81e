"""Queues of past keys, one for each landmark (DrasCLR)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from scanlearn.nets.contrast import Negatives

Precision = Literal["fp32", "fp16", "int8"]

_DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "int8": torch.int8}

#: Whole numbers that a coordinate of 1 is stored as with ``int8``.
_STEPS = 127


class LandmarkQueues:
    """First in, first out, per landmark; every key knows whose it is.

    Kept outside the module: under several GPUs a module's buffers are broadcast before
    every forward, and these are the largest tensors there are. A landmark's keys lie
    together in memory: (landmark, key, dim).

    Parameters
    ----------
    landmarks, length, dim
        Sizes; a length of 0 keeps nothing.
    precision
        How keys are stored. ``int8`` moves a cosine by 0.0023 (one standard deviation)
        and takes a quarter of the memory of ``fp32``.
    """

    def __init__(
        self, landmarks: int, length: int, dim: int, *, precision: Precision = "fp32"
    ) -> None:
        self.keys = torch.zeros(landmarks, length, dim, dtype=_DTYPES[precision])
        self.patients = torch.full((landmarks, length), -1, dtype=torch.int32)
        self.next = torch.zeros(landmarks, dtype=torch.long)

    @property
    def length(self) -> int:
        """How many keys a landmark can hold."""
        return self.keys.shape[1]

    @property
    def fill(self) -> float:
        """Share of places that hold a key."""
        return float((self.patients >= 0).float().mean()) if self.length else 1.0

    def to(self, device: torch.device) -> None:
        """Move to a device."""
        self.keys, self.patients = self.keys.to(device), self.patients.to(device)

    def at(self, landmarks: Tensor) -> Negatives:
        """Return the keys of landmarks (G,), as copies."""
        keys = self.keys[landmarks].float()
        if self.keys.dtype == torch.int8:
            keys /= _STEPS
        return Negatives(keys, self.patients[landmarks])

    def put(self, landmarks: Tensor, keys: Tensor, patients: Tensor) -> None:
        """Enqueue keys (G, B, D) of patients (G, B) at landmarks (G,)."""
        if not self.length:
            return
        batch = keys.shape[1]
        if self.keys.dtype == torch.int8:
            keys = (keys * _STEPS).round()
        keys, patients = keys.to(self.keys.dtype), patients.to(self.patients.dtype)
        for row, landmark in enumerate(landmarks.tolist()):
            place = (self.next[landmark] + torch.arange(batch)) % self.length
            place = place[-self.length :].to(self.keys.device)
            self.keys[landmark, place] = keys[row, -len(place) :]
            self.patients[landmark, place] = patients[row, -len(place) :]
            self.next[landmark] = (self.next[landmark] + batch) % self.length

    def state(self) -> dict[str, Tensor]:
        """Return everything, for a checkpoint."""
        return {"keys": self.keys, "patients": self.patients, "next": self.next}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take back what :meth:`state` returned."""
        self.keys, self.patients = state["keys"], state["patients"]
        self.next = state["next"]
