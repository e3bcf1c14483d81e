"""Every random number of the project comes from a generator made here.

A generator is a pure function of a seed and a *stream*: the names and counters that
say what the numbers are for, such as ``("views", step)``. Equal streams repeat,
different streams are independent, so a resumed training draws what an uninterrupted one
would, with any number of loader workers.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch

Stream = str | int


def stream_seed(seed: int, *stream: Stream) -> int:
    """Return the 63-bit seed of a stream."""
    text = repr((int(seed), *stream)).encode()
    return int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1


def numpy_generator(seed: int, *stream: Stream) -> np.random.Generator:
    """Return the numpy generator of a stream."""
    return np.random.default_rng(stream_seed(seed, *stream))


def torch_generator(
    seed: int, *stream: Stream, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Return the torch generator of a stream, on a device."""
    import torch

    return torch.Generator(device=device).manual_seed(stream_seed(seed, *stream))


def seed_everything(seed: int, *stream: Stream) -> None:
    """Seed torch's global generators, for layers that draw from them (dropout)."""
    import torch

    torch.manual_seed(stream_seed(seed, *stream))
