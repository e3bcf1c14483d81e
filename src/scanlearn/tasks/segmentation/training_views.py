"""Which random changes a segmentation learns from, by their strength."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from scanlearn import processes
from scanlearn.config.segmentation import SegmentationConfig
from scanlearn.views.shape_views import ShapeViews, reshaped
from scanlearn.views.tone_views import ToneViews

#: A tile is read so much larger that turned and shrunk views show tissue to their ends.
_MARGIN = 1.5

_SHAPES = {
    "weak": ShapeViews(rotate_degrees=12.0, scale=(0.88, 1.14), elastic=0.0),
    "medium": ShapeViews(rotate_degrees=30.0, scale=(0.75, 1.33), elastic=4.0),
}

_TONES = {
    "weak": ToneViews(
        gamma=(0.7, 1.4),
        contrast=(0.8, 1.25),
        brightness=0.2,
        field=0.1,
        blur=(0.3, 0.6),
        coarser=(1.0, 1.3),
        noise=0.1,
    ),
    "medium": ToneViews(
        gamma=(0.6, 1.7),
        contrast=(0.6, 1.5),
        brightness=0.4,
        field=0.3,
        blur=(0.5, 1.2),
        coarser=(1.0, 2.0),
        noise=0.2,
    ),
}

#: Hounsfield units are a measurement: their scale stays, and other scanners shift them
#: and make them noisier by tens.
_CT_TONES = ToneViews(
    gamma=(1.0, 1.0),
    contrast=(1.0, 1.0),
    brightness=0.2,
    field=0.0,
    blur=(0.3, 0.8),
    coarser=(1.0, 1.5),
    noise=0.25,
    spread=100.0,
)


@dataclass(frozen=True)
class TrainingViews:
    """The changes of one training.

    Parameters
    ----------
    shapes, tones
        What may change.
    size
        Side of a view, in pixels or voxels.
    """

    shapes: ShapeViews
    tones: ToneViews
    size: int

    def view(
        self, image: Tensor, labels: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """View tiles (B, S, ..., S) in [0, 1264] and their labels alike.

        Returns
        -------
        tuple
            Images of the view's size and labels of the type they had.
        """
        n, dims = processes.whole(len(image)), image.dim() - 1
        draw = processes.share(self.shapes.sample(n, dims, generator))
        tones = processes.share(self.tones.sample(n, dims, generator))
        seen = reshaped(image[:, None], draw, size=self.size)
        there = reshaped(labels[:, None].float(), draw, size=self.size, nearest=True)
        return (
            self.tones.apply(seen, tones)[:, 0],
            there[:, 0].to(labels.dtype),
        )


def training_views(
    config: SegmentationConfig, *, size: int, dims: int, hounsfield: bool
) -> TrainingViews:
    """Return the changes of a training that fit what intensities mean.

    Parameters
    ----------
    config
        How strong they are, how far tiles turn, whether they are mirrored.
    size, dims
        Side and dimensions of a view.
    hounsfield
        Whether the scans are CT.
    """
    shapes = replace(
        _SHAPES[config.strength], mirror=tuple(range(dims)) if config.mirror else ()
    )
    if config.rotate_degrees is not None:
        shapes = replace(shapes, rotate_degrees=config.rotate_degrees)
    tones = _CT_TONES if hounsfield else _TONES[config.strength]
    return TrainingViews(shapes, tones, size)


def read_side(size: int) -> int:
    """Return the side of what is read for views of a size."""
    return int(size * _MARGIN / 2) * 2
