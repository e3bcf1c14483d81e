"""A picture of what an encoder finds alike: patches, and those nearest to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from scanlearn.files import written_beside
from scanlearn.pretraining.drasclr.landmark_batches import PatchRequest
from scanlearn.pretraining.drasclr.patches import PatchData
from scanlearn.randomness import numpy_generator
from scanlearn.views.normalise import normalised

#: Queries, their nearest patches that are shown, and scans that are looked through.
_QUERIES, _NEAREST, _MOST_SCANS = 4, 5, 48

#: Side of a patch in the picture, distance of patches, and of the query from the rest.
_TILE, _GAP, _BREAK = 72, 4, 14

#: The method's intensities run from 0 (air) to this.
_BRIGHTEST = 1264.0


@torch.no_grad()
def draw_nearest(
    encoder: nn.Module,
    data: PatchData,
    locations: Tensor,
    *,
    patch: int,
    shown: int,
    seed: int,
    path: Path,
) -> None:
    """Write a picture: a row for each query, the query first, then the most alike.

    The queries are the same in every picture of a run. The others are patches of other
    patients at the same landmark; what all have in common is taken away before they
    are compared by cosine.

    Parameters
    ----------
    encoder
        With batch-norm statistics of all landmarks.
    data, locations
        Patches in context, and (P, 3) locations of the landmarks.
    patch, shown
        Side of the patch that is encoded, and of its middle that is drawn.
    seed
        Of the run.
    path
        The PNG.
    """
    rng = numpy_generator(seed, "preview")
    scans = [scans[0] for scans in data.cohorts.patients().values()]
    scans = sorted(rng.permutation(scans)[:_MOST_SCANS].tolist())
    count = min(_QUERIES, len(locations))
    landmarks = rng.choice(len(locations), count, replace=False).tolist()
    rows = []
    for landmark in landmarks:
        requests = [PatchRequest(landmark, scan) for scan in scans]
        x = torch.stack([_middle(data[r].voxels, patch) for r in requests])[:, None]
        where = locations[landmark][None]
        h = encoder.eval()(normalised(x.to(locations.device)), where).float()
        order = nearest(h, int(rng.integers(len(scans))))[: 1 + _NEAREST]
        rows.append([_tile(_middle(x[n, 0], shown)) for n in order])
    with written_beside(path) as draft:
        Image.fromarray(_sheet(rows)).save(draft, format="PNG")


def nearest(vectors: Tensor, query: int) -> list[int]:
    """Return the rows of (n, d) by their likeness to one of them, itself first."""
    centred = F.normalize(vectors - vectors.mean(dim=0), dim=1)
    cosines = centred @ centred[query]
    cosines[query] = 2.0
    order: list[int] = cosines.argsort(descending=True).tolist()
    return order


def _middle(voxels: Tensor, side: int) -> Tensor:
    margin = (voxels.shape[0] - side) // 2
    return voxels[(slice(margin, margin + side),) * 3]


def _tile(patch: Tensor) -> NDArray[np.uint8]:
    """Return the middle axial slice: front at the top, patient's right on the left."""
    plane = patch[patch.shape[0] // 2] / _BRIGHTEST * 255
    grey = Image.fromarray(plane.clamp(0, 255).byte().cpu().numpy())
    return np.asarray(grey.resize((_TILE, _TILE), Image.Resampling.BICUBIC))


def _sheet(rows: list[list[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    columns = max(len(row) for row in rows)
    step = _TILE + _GAP
    width = columns * step + _BREAK + _GAP
    sheet = np.full((len(rows) * step + _GAP, width), 255, dtype=np.uint8)
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            top, left = _GAP + i * step, _GAP + j * step + (_BREAK if j else 0)
            sheet[top : top + _TILE, left : left + _TILE] = tile
    return sheet
