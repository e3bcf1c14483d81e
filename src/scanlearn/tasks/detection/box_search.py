"""Finding boxes on a whole radiograph with a trained detector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scanlearn.nets.centre_map import decode
from scanlearn.nets.slice_detector import SliceDetector
from scanlearn.scans.boxes import Boxes, keep_best_boxes
from scanlearn.scans.geometry import Grid
from scanlearn.tasks.detection.box_images import boxes_of
from scanlearn.tasks.detection.sphere_search import MOST
from scanlearn.views.normalise import normalised


@dataclass(frozen=True, eq=False)
class FoundBoxes:
    """What was found on a radiograph, best first.

    Parameters
    ----------
    boxes
        (n, 4) in millimetres of the image's plane.
    scores
        (n,) from 0 to 1.
    """

    boxes: Boxes
    scores: NDArray[np.float64]


@torch.inference_mode()
def find_boxes(
    network: SliceDetector, square: Tensor, grid: Grid, *, least: float
) -> FoundBoxes:
    """Detect on a radiograph.

    Parameters
    ----------
    network
        In evaluation mode.
    square
        (1, side, side) in [0, 1264], the whole field of view.
    grid
        Of the image (1, rows, columns) that it was made of.
    least
        Lowest score told.
    """
    device = next(network.parameters()).device
    maps = network(normalised(square)[None].to(device))[0].float().cpu()
    scores, centres, sizes = decode(
        maps[0].sigmoid(), maps[1:3], maps[3:], network.cells, least=least
    )
    objects = torch.cat([centres, sizes], dim=1).double().numpy()
    boxes, values = boxes_of(objects, grid, square.shape[-1]), scores.double().numpy()
    kept = keep_best_boxes(boxes, values)[:MOST]
    return FoundBoxes(boxes[kept], values[kept])
