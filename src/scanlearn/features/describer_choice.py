"""Which describer a training or a saved model has."""

from __future__ import annotations

from pathlib import Path

from scanlearn.encoders.encoder_file import EncoderCard, read_card
from scanlearn.features.axial_describers import HandmadeDescriber, SliceDescriber
from scanlearn.features.describer import Describer, Features
from scanlearn.features.patch_describer import EncoderDescriber


def describer_of(
    features: Features,
    run: Path,
    patch_mm: float,
    spacing_mm: tuple[float, float, float],
    *,
    turned: bool = False,
) -> Describer:
    """Return who describes scans; ``run`` holds the encoder, where there is one."""
    if features == "patches":
        return EncoderDescriber(run)
    if features == "slices":
        return SliceDescriber(run, patch_mm, spacing_mm, turned=turned)
    return HandmadeDescriber(patch_mm, spacing_mm)


def describer_for(
    start: Path | None,
    run: Path,
    *,
    patch_mm: float,
    spacing_mm: tuple[float, float, float],
    turned: bool = False,
) -> tuple[Features, Describer]:
    """Return the describer of a new training: that of the run it starts from."""
    features: Features = "handmade"
    if start is not None:
        of_patches = isinstance(read_card(start), EncoderCard)
        features = "patches" if of_patches else "slices"
    describer = describer_of(
        features, start or run, patch_mm, spacing_mm, turned=turned
    )
    return features, describer
