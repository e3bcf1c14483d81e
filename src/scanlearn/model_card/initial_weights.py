"""What a training began from, back to the first weights, and their licences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scanlearn.config.run import RunConfig
from scanlearn.errors import ScanlearnError
from scanlearn.runs.folder import RunFolder

#: Released weights by the name of ``import-weights``: whose they are, their licence.
_RELEASED = {
    "drasclr": (
        "the weights released with DrasCLR's own code",
        "MIT licence of that repository",
    ),
    "torchvision": (
        "weights of torchvision, pre-trained on natural images",
        "BSD 3-Clause licence of torchvision; the terms of the images they were "
        "trained on, such as ImageNet's, may restrict their use",
    ),
    "joint": (
        "weights of the joint method's release, or of LVM-Med",
        "that of the release they came from, which the run does not note: look it up "
        "before you pass the model on",
    ),
}

_OWN = "none is set: the weights belong to whoever trained them"


@dataclass(frozen=True)
class Start:
    """One run that weights came from.

    Parameters
    ----------
    what
        What it was, in words.
    licence
        Of its weights.
    recipe
        Name of the method or task that trained it; empty of a run no longer there.
    released
        Whose released weights it holds; empty if it was trained here.
    """

    what: str
    licence: str
    recipe: str = ""
    released: str = ""


def starts_of(config: RunConfig) -> tuple[Start, ...]:
    """Return the runs that weights came from, the nearest first; none from scratch."""
    if config.imported is not None:
        return (_released(config),)
    return tuple(_before(config, set()))


def sentence(starts: tuple[Start, ...]) -> str:
    """Say what a training began from."""
    if not starts:
        return "All weights were initialised at random."
    return "It began from " + ", which began from ".join(s.what for s in starts) + "."


def _before(config: RunConfig, seen: set[Path]) -> Iterator[Start]:
    start = config.start_from
    if start is None or start in seen:
        return
    try:
        earlier = RunFolder(start).config()
    except (ScanlearnError, OSError):
        yield Start("an earlier run that is no longer there", "not known")
        return
    if earlier.imported is not None:
        yield _released(earlier)
        return
    kind = "pre-training" if earlier.kind == "pretrain" else "fine-tuning"
    name = earlier.recipe.name
    yield Start(f"a {kind} ({name}) on own scans", _OWN, recipe=name)
    yield from _before(earlier, seen | {start})


def _released(config: RunConfig) -> Start:
    name = config.imported or ""
    what, licence = _RELEASED.get(name, (f"weights released with {name}", "not known"))
    return Start(what, licence, recipe=config.recipe.name, released=name)
