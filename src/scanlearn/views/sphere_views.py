"""Random turns and mirrorings of tiles that spheres in them go along with."""

from __future__ import annotations

import torch
from torch import Tensor

from scanlearn import processes
from scanlearn.views.affine import AffineViews, apply_affine


def turn(image: Tensor, objects: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Resample tiles around their middles, with the spheres in them.

    Parameters
    ----------
    image
        (B, 1, t, t, t).
    objects
        (B, K, 4) centres as voxel indices and diameters.
    maps
        (B, 3, 4) of :meth:`AffineViews.sample`: from output to input offsets. A sphere
        becomes an ellipsoid; its diameter is that of the sphere of equal volume.
    """
    size = image.shape[-1]
    linear, shift = maps[:, :, :3], maps[:, :, 3]
    away = objects[..., :3] - (size - 1) / 2 - shift[:, None]
    centres = torch.linalg.solve(linear, away.mT).mT + (size - 1) / 2
    shrunk = torch.linalg.det(linear).abs().pow(1 / 3)[:, None, None]
    turned = torch.cat([centres, objects[..., 3:] / shrunk], dim=2)
    return apply_affine(image, maps, size=size), turned


def mirror(
    image: Tensor, objects: Tensor, boxes: Tensor, flips: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Mirror tiles, spheres and locations together.

    Parameters
    ----------
    image, objects
        As for :func:`turn`.
    boxes
        (B, 2, 3) locations (x, y, z) of the first and last voxel.
    flips
        (B, 3) which array axes are mirrored.
    """
    size = image.shape[-1]
    image, boxes = image.clone(), boxes.clone()
    for axis in range(3):
        chosen = flips[:, axis]
        image[chosen] = image[chosen].flip(axis + 2)
        # Locations are (x, y, z), array axes run the other way round.
        boxes[chosen, :, 2 - axis] = boxes[chosen, :, 2 - axis].flip(1)
    mirrored = torch.where(
        flips[:, None], size - 1 - objects[..., :3], objects[..., :3]
    )
    return image, torch.cat([mirrored, objects[..., 3:]], dim=2), boxes


def random_views(
    image: Tensor,
    objects: Tensor,
    boxes: Tensor,
    affine: AffineViews,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor, Tensor]:
    """Mirror each axis of half of the tiles, then turn all."""
    n = processes.whole(len(image))
    draw = torch.rand(n, 3, generator=generator, device=generator.device)
    flips, maps = processes.share(draw < 0.5), affine.sample(n, generator)
    image, objects, boxes = mirror(image, objects, boxes, flips)
    image, objects = turn(image, objects, processes.share(maps))
    return image, objects, boxes
