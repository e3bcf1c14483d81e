"""Checkpoints of DrasCLR's released code, with its coordinates.

The release's network takes the corner of a patch in its atlas, in voxels of 1 mm, as
``p = 2 corner / largest corner - 1``; the atlas's y runs to the front. Its landmarks
and mask are of one participant and not ours to ship, so an imported run has landmarks
on the same grid in a pair of ellipsoids that fill the atlas's lung box.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from scanlearn.anatomy.landmarks import Atlas
from scanlearn.config.drasclr import DrasclrConfig, EncoderConfig
from scanlearn.config.engine import EngineConfig
from scanlearn.config.run import RunConfig
from scanlearn.encoders.encoder_file import Convention, EncoderCard, save_encoder
from scanlearn.errors import BadRun
from scanlearn.pretraining.released.imported_run import Imported, read_checkpoint

#: Where the query encoder's names begin: under DDP, alone, or the encoder itself.
_PREFIXES = ("module.encoder_q.", "encoder_q.", "module.", "")

#: Convolution and batch norm of the thirteen layers, in order.
_LAYERS = (
    ("conv1", "bn1"),
    ("conv2", "bn2"),
    *(
        (f"downsample{block}.conv{n}", f"downsample{block}.bn{n}")
        for block in (1, 2, 3)
        for n in (1, 2, 3)
    ),
    ("conv3", "bn3"),
    ("conv4", "bn4"),
)

_CONV = {
    "weight": "conv.weight",
    "bias": "conv.bias",
    "_routing_fn.fc.weight": "conv.routing.weight",
    "_routing_fn.fc.bias": "conv.routing.bias",
}
_NORM = {
    name: f"norm.{name}"
    for name in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")
}

#: The atlas, axes (x, y, z), voxels of 1 mm: largest corners of patches, first and
#: last voxel of the lungs, and which axes run with LPS.
_LARGEST_CORNER = np.array([312.0, 286.0, 286.0])
_FIRST, _LAST = np.array([42.0, 77.0, 11.0]), np.array([334.0, 297.0, 284.0])
_WITH_LPS = np.array([1.0, -1.0, 1.0])
_PATCH, _STEP = 32, 26
_LEAST_FRACTION = 0.1


def import_drasclr(checkpoint: Path) -> Imported:
    """Read a checkpoint of the release.

    Raises
    ------
    BadRun
        If it is none.
    """
    content = read_checkpoint(checkpoint)
    weights = encoder_weights(content.get("state_dict", content), checkpoint)
    first, last = weights["layers.0.conv.weight"], weights["layers.12.conv.weight"]
    experts, width, dim = first.shape[0], first.shape[1], last.shape[1]
    card = EncoderCard(
        method="drasclr",
        width=width,
        dim=dim,
        experts=experts,
        patch_voxels=_PATCH,
        spacing_mm=(1.0, 1.0, 1.0),
        units="HU",
        convention=release_convention(),
        atlas=stand_in_atlas().to_dict(),
        step=0,
    )
    encoder = card.build()
    try:
        encoder.load_state_dict(weights)
    except RuntimeError as error:
        raise _foreign(checkpoint, str(error).partition("\n")[2].strip()) from None
    config = RunConfig(
        kind="pretrain",
        imported="drasclr",
        recipe=DrasclrConfig(
            spacing_mm=1.0,
            encoder=EncoderConfig(width=width, dim=dim, experts=experts),
        ),
        engine=EngineConfig(steps=0),
    )
    report = (
        f"The query encoder: {len(_LAYERS)} layers, {experts} experts each, "
        f"{dim} numbers for a patch of {_PATCH} mm.",
        "Left out: projection head, key encoder and queues. The release's atlas is not "
        "in the file: whole scans are placed by the box of their lungs.",
    )
    return Imported(config, lambda folder: save_encoder(folder, encoder, card), report)


def encoder_weights(state: dict[str, Any], source: Path) -> dict[str, Tensor]:
    """Rename the query encoder's trunk; head, key encoder and queue are left out."""
    prefix = next((p for p in _PREFIXES if f"{p}conv1.weight" in state), None)
    if prefix is None:
        raise _foreign(source, "there is no 'encoder_q.conv1.weight' in it")
    found: dict[str, Tensor] = {}
    for number, (conv, norm) in enumerate(_LAYERS):
        for layer, names in ((conv, _CONV), (norm, _NORM)):
            for theirs, ours in names.items():
                value = state.get(f"{prefix}{layer}.{theirs}")
                if not isinstance(value, torch.Tensor):
                    raise _foreign(source, f"'{prefix}{layer}.{theirs}' is missing")
                found[f"layers.{number}.{ours}"] = value
    kernels, routing = (
        found["layers.0.conv.weight"],
        found["layers.0.conv.routing.weight"],
    )
    if kernels.dim() != 6 or routing.dim() != 2 or routing.shape[1] != 3:
        raise _foreign(source, "its kernels are not mixed by one location (x, y, z)")
    return found


def release_convention() -> Convention:
    """Return how the release's inputs follow from ours.

    A location f of the lungs' box is the atlas voxel ``middle + half f`` there, whose
    patch has its corner 15.5 voxels before.
    """
    middle = (_FIRST + _LAST) / 2
    half = (_LAST - _FIRST + 1) / 2 * _WITH_LPS
    scale = 2 * half / _LARGEST_CORNER
    offset = 2 * (middle - (_PATCH - 1) / 2) / _LARGEST_CORNER - 1
    # Patches are arrays (z, y, x) there too, but y runs to the front.
    z, y, x = (bool(along < 0) for along in _WITH_LPS[::-1])
    return Convention(scale=_triple(scale), offset=_triple(offset), flipped=(z, y, x))


def stand_in_atlas() -> Atlas:
    """Place landmarks by the release's rule in two ellipsoids in its lung box."""
    size = _LAST - _FIRST + 1
    axes = [np.arange(0, corner + 1, _STEP) for corner in _LARGEST_CORNER]
    corners = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    middle = (_FIRST + _LAST) / 2
    offsets = np.stack(np.meshgrid(*[np.arange(2.0, _PATCH, 4.0)] * 3), axis=-1)
    # Per lung (x in halves of the box): inside where u^2 + v^2 + w^2 < 1.
    points = corners[:, None] + offsets.reshape(-1, 3) - middle  # (n, 512, 3)
    points /= size / 2
    points[..., 0] = np.abs(points[..., 0]) * 2 - 1
    fraction = (np.square(points).sum(axis=-1) < 1).mean(axis=1)
    keep = fraction > _LEAST_FRACTION
    centres = corners + (_PATCH - 1) / 2
    locations = (centres - middle) / (size / 2) * _WITH_LPS
    return Atlas(
        kind="lungs",
        size_mm=_triple(size),
        landmarks=locations[keep].astype(np.float32),
        fraction=fraction[keep].astype(np.float32),
    )


def _triple(values: np.ndarray[Any, Any]) -> tuple[float, float, float]:
    x, y, z = (float(value) for value in values)
    return x, y, z


def _foreign(source: Path, why: str) -> BadRun:
    return BadRun(
        f"{source} is no checkpoint of DrasCLR's released code: {why}",
        expected="the file that its training writes, such as checkpoint_0020.pth.tar",
    )
