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
from scanlearn.randomness import numpy_generator
from scanlearn.recipes.pretrain.slice_batches import SliceData
from scanlearn.views.normalise import normalised

#: Clusters that are shown, the largest first, and examples of each.
_CLUSTERS, _EXAMPLES = 6, 8

#: Side of a tile, and distance of tiles, in pixels.
_TILE, _GAP = 72, 4

#: The method's intensities run from 0 (air) to this.
_BRIGHTEST = 1264.0

#: Width of the picture in inches, and pixels an inch.
_WIDTH, _DPI = 6.2, 100

#: Where the heads of a layer look, and would without offsets: (heads, M) slices.
Looks = tuple[NDArray[np.floating], NDArray[np.floating]]


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
    assigned: Tensor,
    encoder: SliceEncoder | None,
    *,
    seed: int,
) -> str:
    """Write a picture: a row for each cluster, below the places of each head.

    Parameters
    ----------
    path
        The PNG.
    data, assigned
        The images, and the cluster of each.
    encoder
        In evaluation mode, once its transformer is trained.
    seed
        Of the run.

    Returns
    -------
    str
        What the picture shows.
    """
    scans = [image.record.key for image in data.cohorts.images]
    rows = [
        [_tile(data.images([n])["images"][0, 0]) for n in row]
        for row in examples(assigned, scans, seed=seed)
    ]
    looks: list[Looks] = []
    slices = 0
    if encoder is not None:
        looks, slices = looks_at(encoder, data)
    _write(path, rows, looks, slices)
    text = "Each row: images that fall into one cluster, the largest above."
    if looks:
        text += " Below: where each head of the attention looks in one volume."
    return text


@torch.no_grad()
def looks_at(encoder: SliceEncoder, data: SliceData) -> tuple[list[Looks], int]:
    """Return where the heads look in the volume of most slices, and how many it has."""
    sizes = [len(volume.indices) for volume in data.cohorts.volumes]
    number = max(range(len(sizes)), key=sizes.__getitem__)
    device = encoder.project.weight.device
    stack = data.stacks([number])
    lengths = stack["lengths"].to(device)
    tokens = encoder.tokens(normalised(stack["volumes"].to(device)), lengths)
    found = encoder.transformer.looks(tokens, lengths)
    arrays = [(where[0].cpu().numpy(), rest[0].cpu().numpy()) for where, rest in found]
    return arrays, sizes[number]


def _write(
    path: Path, rows: list[list[NDArray[np.uint8]]], looks: list[Looks], slices: int
) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    sheet = _sheet(rows)
    tall = _WIDTH * sheet.shape[0] / sheet.shape[1]
    heads = sum(len(where) for where, _ in looks)
    below = 0.7 + 0.12 * heads if looks else 0.0
    figure = Figure(figsize=(_WIDTH, tall + below), dpi=_DPI)
    FigureCanvasAgg(figure)
    whole = tall + below
    top = figure.add_axes((0, below / whole, 1, tall / whole))
    top.imshow(sheet, cmap="gray", vmin=0, vmax=255)
    top.set_axis_off()
    if looks:
        axes = figure.add_axes((0.14, 0.5 / whole, 0.82, (below - 0.6) / whole))
        _draw_looks(axes, looks, slices)
    with written_beside(path) as draft:
        figure.savefig(draft, format="png")


def _draw_looks(axes: object, looks: Sequence[Looks], slices: int) -> None:
    """Draw a line a head: grey where it would look, blue where it does."""
    line, ticks = 0, []
    for layer, (where, rest) in enumerate(looks, start=1):
        ticks.append((line + (len(where) - 1) / 2, f"layer {layer}"))
        for own, still in zip(where, rest, strict=True):
            y = np.full(len(own), line)
            axes.plot([still, own], [y, y], color="0.7", linewidth=1)  # type: ignore[attr-defined]
            axes.plot(still, y, "|", color="0.6", markersize=5)  # type: ignore[attr-defined]
            axes.plot(own, y, "o", color="#1f77b4", markersize=3)  # type: ignore[attr-defined]
            line += 1
    axes.set_yticks(*zip(*ticks, strict=True))  # type: ignore[attr-defined]
    axes.set_ylim(line - 0.3, -0.7)  # type: ignore[attr-defined]
    axes.set_xlim(-0.5, slices - 0.5)  # type: ignore[attr-defined]
    axes.set_xlabel("slice, from the head down", fontsize=8)  # type: ignore[attr-defined]
    axes.tick_params(labelsize=8)  # type: ignore[attr-defined]


def _tile(pixels: Tensor) -> NDArray[np.uint8]:
    grey = (pixels / _BRIGHTEST * 255).clamp(0, 255).to(torch.uint8).cpu().numpy()
    image = Image.fromarray(grey).resize((_TILE, _TILE), Image.Resampling.BICUBIC)
    return np.asarray(image)


def _sheet(rows: list[list[NDArray[np.uint8]]]) -> NDArray[np.uint8]:
    step = _TILE + _GAP
    sheet = np.full((len(rows) * step + _GAP, _EXAMPLES * step + _GAP), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, tile in enumerate(row):
            top, left = _GAP + i * step, _GAP + j * step
            sheet[top : top + _TILE, left : left + _TILE] = tile
    return sheet
