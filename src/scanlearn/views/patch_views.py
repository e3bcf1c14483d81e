"""One random view of a batch of patches, from intensities to what the networks see."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scanlearn.views.affine import AffineViews, apply_affine
from scanlearn.views.intensity import IntensityDraw, IntensityViews
from scanlearn.views.normalise import normalised


@dataclass(frozen=True)
class PatchDraw:
    """What was drawn for a batch; applying it again gives the same views."""

    maps: Tensor  # (B, 3, 4)
    intensity: IntensityDraw


@dataclass(frozen=True)
class PatchViews:
    """Affine, then noise, then gamma, as DrasCLR has them.

    The channels of a sample share everything that is drawn but the noise's voxels, and
    their common range for gamma: so the neighbours of a patch stay neighbours.

    Parameters
    ----------
    affine, intensity
        What may change, and how far.
    size
        Side of a view; patches may be larger, for context.
    """

    affine: AffineViews
    intensity: IntensityViews
    size: int

    def sample(self, n: int, generator: torch.Generator) -> PatchDraw:
        """Draw for a batch of n, on the generator's device."""
        maps = self.affine.sample(n, generator)
        return PatchDraw(maps, self.intensity.sample(n, generator))

    def apply(self, x: Tensor, draw: PatchDraw) -> Tensor:
        """View patches (B, C, S, S, S) in [0, 1264] as (B, C, P, P, P) in [-1, 1]."""
        x = apply_affine(x, draw.maps, size=self.size)
        return normalised(self.intensity.apply(x, draw.intensity))
