"""Views that fit what an image is: a radiograph, or a slice of a volume."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from scanlearn.views.crop_views import CropDraw, CropViews


@dataclass(frozen=True)
class KindViews:
    """Views of one size for slices and for radiographs.

    Parameters
    ----------
    slices, films
        Of slices, and of radiographs; where the latter are None, they are the same.
    """

    slices: CropViews
    films: CropViews | None = None

    @property
    def size(self) -> int:
        """Side of a view in pixels."""
        return self.slices.size

    def sample(
        self, hounsfield: Tensor, film: Tensor, generator: torch.Generator
    ) -> CropDraw:
        """Draw for a batch; (B,) say which samples are CT, which are radiographs."""
        draw = self.slices.sample(hounsfield, generator)
        if self.films is None or not film.any():
            return draw
        return draw.where(film, self.films.sample(hounsfield, generator))

    def apply(self, x: Tensor, draw: CropDraw, hounsfield: Tensor) -> Tensor:
        """View (B, C, S, S) in [0, 1264] as (B, C, size, size) in about [-1, 1]."""
        return self.slices.apply(x, draw, hounsfield)
