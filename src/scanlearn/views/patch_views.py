"""One random view of a batch of patches, from intensities to what the networks see."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scanlearn.views.affine import AffineViews, apply_affine
from scanlearn.views.intensity import IntensityDraw, IntensityViews
from scanlearn.views.normalise import normalised
from scanlearn.views.scanner import ScannerDraw, ScannerViews


@dataclass(frozen=True)
class PatchDraw:
    """What was drawn for a batch; applying it again gives the same views."""

    maps: Tensor  # (B, 3, 4)
    intensity: IntensityDraw
    scanner: ScannerDraw | None = None


@dataclass(frozen=True)
class PatchViews:
    """Affine, then noise, then gamma, as DrasCLR has them; before them the scanner.

    The channels of a sample share everything that is drawn but the noise's voxels, and
    their common range for gamma: so the neighbours of a patch stay neighbours.

    Parameters
    ----------
    affine, intensity
        What may change, and how far.
    size
        Side of a view; patches may be larger, for context.
    scanner
        Other kernels and doses of CT, in the patch's own slices; none by default.
    """

    affine: AffineViews
    intensity: IntensityViews
    size: int
    scanner: ScannerViews | None = None

    def sample(self, n: int, generator: torch.Generator) -> PatchDraw:
        """Draw for a batch of n, on the generator's device."""
        maps = self.affine.sample(n, generator)
        intensity = self.intensity.sample(n, generator)
        if self.scanner is None:
            return PatchDraw(maps, intensity)
        return PatchDraw(maps, intensity, self.scanner.sample(n, generator))

    def apply(self, x: Tensor, draw: PatchDraw) -> Tensor:
        """View patches (B, C, S, S, S) in [0, 1264] as (B, C, P, P, P) in [-1, 1]."""
        if self.scanner is not None and draw.scanner is not None:
            x = self.scanner.apply(x, draw.scanner)
        x = apply_affine(x, draw.maps, size=self.size)
        return normalised(self.intensity.apply(x, draw.intensity))
