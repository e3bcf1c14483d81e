"""Residual trunks of others: torchvision's files, the joint release, LVM-Med.

All name their tensors as torchvision does, under a prefix of their own; what else they
hold (classifiers, heads, prototypes, optimisers, the release's transformer, which
attends over coordinates and not over slices) is reported and left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from scanlearn.config.engine import EngineConfig
from scanlearn.config.joint import JointConfig, TrunkConfig
from scanlearn.config.run import RunConfig
from scanlearn.encoders.encoder_file import save_encoder
from scanlearn.encoders.slice_encoder_card import SliceEncoderCard
from scanlearn.errors import BadRun
from scanlearn.nets.resnet import Architecture
from scanlearn.pretraining.released.imported_run import Imported, read_checkpoint
from scanlearn.randomness import seed_everything

Method = Literal["torchvision", "joint"]

#: Grey values from 0 to 1 as colours are normalised for all these networks.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_FIRST, _LAST = "conv1.weight", "layer4.0.conv1.weight"

#: Blocks of the first stage, and whether they have three convolutions.
_ARCHITECTURES: dict[tuple[int, bool], Architecture] = {
    (2, False): "resnet18",
    (3, True): "resnet50",
}


def import_trunk(checkpoint: Path, method: Method) -> Imported:
    """Read a checkpoint that holds a ResNet-18 or -50.

    The stem takes the grey values of all scans here: three colours become one, with
    their normalisation.

    Raises
    ------
    BadRun
        If there is no such network in it.
    """
    found = dict(tensors_of(read_checkpoint(checkpoint)))
    prefix = _prefix(found, checkpoint)
    own = {n[len(prefix) :]: x for n, x in found.items() if n.startswith(prefix)}
    architecture = _architecture(own, checkpoint)
    trunk = TrunkConfig(architecture=architecture, width=len(own[_FIRST]))
    recipe = JointConfig(trunk=trunk)
    card = SliceEncoderCard(
        method=method,
        trunk=trunk,
        transformer=recipe.transformer,
        slice_side=recipe.image_crop,
        slices=recipe.slices,
        units=("HU", "unit", "zscore"),
        holistic=False,
        step=0,
    )
    seed_everything(0, "imported")
    encoder = card.build()
    wanted = encoder.trunk.state_dict()
    weights = grey_stem({name: own[name] for name in wanted if name in own})
    try:
        encoder.trunk.load_state_dict(weights)
    except RuntimeError as error:
        raise _foreign(checkpoint, str(error).partition("\n")[2].strip()) from None
    config = RunConfig(
        kind="pretrain", imported=method, recipe=recipe, engine=EngineConfig(steps=0)
    )
    left = [name for name in found if name[len(prefix) :] not in wanted]
    return Imported(
        config,
        lambda folder: save_encoder(folder, encoder, card),
        report=_report(architecture, len(weights), prefix, left),
    )


def tensors_of(
    content: Mapping[str, Any], path: str = ""
) -> Iterator[tuple[str, Tensor]]:
    """Yield every tensor of nested dictionaries with its dotted name."""
    for name, value in content.items():
        if isinstance(value, Tensor):
            yield f"{path}{name}", value
        elif isinstance(value, Mapping):
            yield from tensors_of(value, f"{path}{name}.")


def grey_stem(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Let a stem for normalised colours take one channel in [-1, 1].

    A grey value g = (x + 1) / 2 enters as three colours (g - mean) / s.d.; the constant
    goes into the mean of the norm behind. Exact but for the border, where zeros are
    padded.
    """
    stem = weights[_FIRST]
    if stem.shape[1] != 3:
        return weights
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (_MEAN, _STD))
    scaled = stem / std
    constant = (scaled * (0.5 - mean)).sum(dim=(1, 2, 3))
    return weights | {
        _FIRST: scaled.sum(dim=1, keepdim=True) / 2,
        "bn1.running_mean": weights["bn1.running_mean"] - constant,
    }


def _prefix(found: Mapping[str, Tensor], source: Path) -> str:
    """Return what stands before the trunk's names: the release's ``intra`` first."""
    ends = [name[: -len(_FIRST)] for name in found if name.endswith(_FIRST)]
    known = [end for end in ends if f"{end}{_LAST}" in found]
    if not known:
        raise _foreign(source, f"there is no '{_FIRST}' with '{_LAST}' in it")
    return min(known, key=lambda end: ("intra" not in end, len(end)))


def _architecture(weights: Mapping[str, Tensor], source: Path) -> Architecture:
    blocks = {name.split(".")[1] for name in weights if name.startswith("layer1.")}
    key = (len(blocks), "layer1.0.conv3.weight" in weights)
    if key not in _ARCHITECTURES:
        raise _foreign(source, f"its first stage has {len(blocks)} blocks")
    return _ARCHITECTURES[key]


def _report(
    architecture: str, count: int, prefix: str, left: list[str]
) -> tuple[str, ...]:
    where = f" under '{prefix}'" if prefix else ""
    lines = [f"{architecture}: all {count} tensors of the trunk matched{where}."]
    if left:
        groups = Counter(name.rpartition(".")[0] or name for name in left)
        named = ", ".join(f"{name} ({n})" for name, n in groups.most_common(6))
        more = f" and {len(groups) - 6} more" if len(groups) > 6 else ""
        lines.append(f"{len(left)} other tensors were left out: {named}{more}.")
    return tuple(lines)


def _foreign(source: Path, why: str) -> BadRun:
    return BadRun(
        f"{source} holds no ResNet that can be used: {why}",
        expected="a ResNet-18 or -50 with torchvision's names, under any prefix",
        next_step="Save the network's state_dict() alone and import that",
    )
