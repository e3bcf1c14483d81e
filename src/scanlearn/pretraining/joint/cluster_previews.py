"""A picture of what a joint training has found: clusters, and where its heads look."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from scanlearn.files import written_beside
from scanlearn.nets.clustering import UNASSIGNED
from scanlearn.nets.slice_encoder import SliceEncoder
from scanlearn.pretraining.joint.attention_picture import Looks, draw_looks, looks_at
from scanlearn.pretraining.joint.slice_batches import SliceData
from scanlearn.randomness import numpy_generator

#: Clusters that are shown, the largest first, and examples of each.
_CLUSTERS, _EXAMPLES = 6, 8

#: Side of a tile, and distance of tiles, in pixels.
_TILE, _GAP = 72, 4

#: The method's intensities run from 0 (air) to this.
_BRIGHTEST = 1264.0

#: Width of the picture in inches, and pixels an inch.
_WIDTH, _DPI = 6.2, 100

#: Between the clusters of images and those of volumes, in inches.
_BETWEEN = 0.15

#: Grey values (side, side) of one example.
Tile = NDArray[np.uint8]


def examples(assigned: Tensor, scans: Sequence[str], *, seed: int) -> list[list[int]]:
    """Choose samples of the largest clusters, of as many scans as there are.

    Parameters
    ----------
    assigned
        (n,) cluster of each sample; those not yet assigned are left out.
    scans
        Whose each sample is.
    seed
        Of the run: the order of samples is the same in all its pictures.
    """
    rng = numpy_generator(seed, "clusters shown")
    order = rng.permutation(len(assigned))
    clusters = assigned.numpy()
    names, counts = np.unique(clusters[clusters != UNASSIGNED], return_counts=True)
    rows = []
    for name in names[np.argsort(-counts, kind="stable")][:_CLUSTERS]:
        members = [int(n) for n in order if clusters[n] == name]
        seen: dict[str, int] = {}
        rank = {}
        for n in members:
            rank[n] = seen[scans[n]] = seen.get(scans[n], -1) + 1
        rows.append(sorted(members, key=lambda n: rank[n])[:_EXAMPLES])
    return rows


def draw_clusters(
    path: Path,
    data: SliceData,
    images: Tensor,
    volumes: Tensor | None,
    encoder: SliceEncoder | None,
    *,
    seed: int,
) -> str:
    """Write a picture: a row for each cluster, below the places of each head.

    Parameters
    ----------
    path
        The PNG.
    data, images, volumes
        The samples, and the cluster of each; no volumes while none are grouped.
    encoder
        In evaluation mode, once its transformer is trained.
    seed
        Of the run.

    Returns
    -------
    str
        What the picture shows.
    """
    cohorts = data.cohorts
    sections = [
        [
            [_tile(data.images([n])["images"][0, 0]) for n in row]
            for row in examples(
                images, [i.record.key for i in cohorts.images], seed=seed
            )
        ]
    ]
    text = "Each row: images that fall into one cluster, the largest above."
    if volumes is not None:
        keys = [volume.record.key for volume in cohorts.volumes]
        sections.append(
            [
                [_middle_tile(data, n) for n in row]
                for row in examples(volumes, keys, seed=seed)
            ]
        )
        text += " Then the same of volumes, by their middle slices."
    looks: list[Looks] = []
    slices = 0
    if encoder is not None:
        looks, slices = looks_at(encoder, data)
        text += " Below: where each head of the attention looks in one volume."
    _write(path, [rows for rows in sections if rows], looks, slices)
    return text


def _write(
    path: Path, sections: list[list[list[Tile]]], looks: list[Looks], slices: int
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sheets = [_sheet(rows) for rows in sections]
    talls = [_WIDTH * sheet.shape[0] / sheet.shape[1] for sheet in sheets]
    between = _BETWEEN * (len(sheets) - 1)
    heads = sum(len(where) for where, _ in looks)
    below = 0.7 + 0.12 * heads if looks else 0.0
    whole = sum(talls) + between + below
    figure = Figure(figsize=(_WIDTH, whole), dpi=_DPI)
    FigureCanvasAgg(figure)
    top = whole
    for sheet, tall in zip(sheets, talls, strict=True):
        axes = figure.add_axes((0, (top - tall) / whole, 1, tall / whole))
        axes.imshow(sheet, cmap="gray", vmin=0, vmax=255)
        axes.set_axis_off()
        top -= tall + _BETWEEN
    if looks:
        axes = figure.add_axes((0.14, 0.5 / whole, 0.82, (below - 0.6) / whole))
        draw_looks(axes, looks, slices)
    with written_beside(path) as draft:
        figure.savefig(draft, format="png")


def _middle_tile(data: SliceData, number: int) -> Tile:
    stack = data.stacks([number])["volumes"][0]
    return _tile(stack[len(stack) // 2])


def _tile(pixels: Tensor) -> Tile:
    grey = (pixels / _BRIGHTEST * 255).clamp(0, 255).to(torch.uint8).cpu().numpy()
    image = Image.fromarray(grey).resize((_TILE, _TILE), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _sheet(rows: list[list[Tile]]) -> Tile:
    step = _TILE + _GAP
    sheet = np.full((len(rows) * step + _GAP, _EXAMPLES * step + _GAP), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            top, left = _GAP + i * step, _GAP + j * step
            sheet[top : top + _TILE, left : left + _TILE] = tile
    return sheet
