"""A label map over its scan as pictures: a few slices in each of three planes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.config.palette import class_colour
from scanlearn.files import written_beside
from scanlearn.prediction.summary import FoundClass
from scanlearn.scans.geometry import Grid, to_canonical_axes
from scanlearn.scans.resample import resample
from scanlearn.scans.scan import Scan
from scanlearn.scans.tables.results import DISCLAIMER
from scanlearn.scans.windows import display_range

#: Slices a picture shows.
_SLICES = 4

_DPI = 150
_PANEL_INCHES = 3.2

_LEGEND_COLUMNS = 4

#: Share of the labelled voxels before the first and after the last slice shown.
_OUTER = 0.05

#: Lengths a scale bar may have; the longest that fits into a third of a panel is drawn.
_BARS_MM = (5, 10, 20, 50, 100)


@dataclass(frozen=True)
class _Plane:
    """How a plane of a canonical volume is seen: as radiologists see it.

    ``axis`` is that of the slices; ``letters`` are the patient's sides at the left,
    right, top and bottom of the picture; ``upwards`` where the rows run to the head.
    """

    name: str
    axis: int
    letters: str
    upwards: bool
    coordinate: str


_PLANES = (
    _Plane("axial", 0, "RLAP", upwards=False, coordinate="z"),
    _Plane("coronal", 1, "RLSI", upwards=True, coordinate="y"),
    _Plane("sagittal", 2, "APSI", upwards=True, coordinate="x"),
)


def write_figures(
    folder: Path,
    name: str,
    scan: Scan,
    labels: NDArray[Any],
    classes: Sequence[FoundClass],
    *,
    title: str,
) -> list[Path]:
    """Write ``NAME_axial.png``, ``NAME_coronal.png`` and ``NAME_sagittal.png``.

    Each shows slices with something on them, or evenly spread ones where nothing was
    found, with the patient's sides, a scale in millimetres, the slices' places (LPS)
    and the classes in their colours.

    Parameters
    ----------
    folder, name
        Where to, and how the files begin.
    scan
        A volume as it was read; an oblique one is shown on straight axes.
    labels
        Class values on the grid of the scan.
    classes
        What the legend lists.
    title
        Above the slices; should name no patient.

    Raises
    ------
    OSError
        If a file differs when it is read again.
    """
    shown = scan.canonical()
    overlay = _on_grid(labels, scan.grid, shown.grid)
    files = []
    for plane in _PLANES:
        file = folder / f"{name}_{plane.name}.png"
        picture = _draw(plane, shown, overlay, classes, title)
        _write_png(file, picture)
        files.append(file)
    return files


def chosen_slices(labels: NDArray[Any], axis: int, count: int) -> list[int]:
    """Return which slices tell most: the fullest of each class, rarest class first.

    Places that remain go where the gap to the chosen ones is widest.
    """
    others = tuple(k for k in range(3) if k != axis)
    length = labels.shape[axis]
    found, sizes = np.unique(labels[labels > 0], return_counts=True)
    chosen: list[int] = []
    for value in found[np.argsort(sizes)][:count]:
        fullest = int(np.count_nonzero(labels == value, axis=others).argmax())
        if fullest not in chosen:
            chosen.append(fullest)
    # The outermost slices show little of what was found.
    own = np.count_nonzero(labels, axis=others) / max(1, sizes.sum())
    share = np.cumsum(own)
    there = np.flatnonzero((own > 0) & (share > _OUTER) & (share - own < 1 - _OUTER))
    candidates = there if there.size else np.arange(length)
    if not chosen:
        chosen.append(int(candidates[len(candidates) // 2]))
    while len(chosen) < count:
        gaps = np.abs(candidates[:, None] - np.array(chosen)).min(axis=1)
        if gaps.max() == 0:
            break
        chosen.append(int(candidates[gaps.argmax()]))
    return sorted(chosen)


def _on_grid(labels: NDArray[Any], grid: Grid, shown: Grid) -> NDArray[Any]:
    turned, turned_grid = to_canonical_axes(labels, grid)
    if turned_grid.matches(shown):
        return turned
    return resample(labels, grid, shown, order=0, outside=0)


def _draw(
    plane: _Plane,
    shown: Scan,
    overlay: NDArray[Any],
    classes: Sequence[FoundClass],
    title: str,
) -> NDArray[np.uint8]:
    """Return a picture as (height, width, 3) colours."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    slices = chosen_slices(overlay, plane.axis, _SLICES)
    rows_mm, columns_mm = _panel_mm(plane, shown.grid)
    panel = _PANEL_INCHES * min(max(rows_mm / columns_mm, 0.3), 1.6)
    footer = 0.3 + 0.2 * max(1, -(-len(classes) // _LEGEND_COLUMNS))
    height = panel + footer + 0.5
    figure = Figure(
        figsize=(_PANEL_INCHES * _SLICES, height), dpi=_DPI, facecolor="black"
    )
    canvas = FigureCanvasAgg(figure)
    limits = display_range(shown)
    for place, number in enumerate(slices):
        box = (place / _SLICES, footer / height, 0.99 / _SLICES, panel / height)
        axes = figure.add_axes(box)
        _draw_slice(axes, plane, shown, overlay, number, limits)
    _text(figure, 0.01, 1 - 0.25 / height, f"{title} · {plane.name}", size=10)
    _legend(figure, classes, y=footer / 2 / height)
    _text(figure, 0.99, footer / 2 / height, DISCLAIMER, size=10, align="right")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _panel_mm(plane: _Plane, grid: Grid) -> tuple[float, float]:
    rows, columns = (k for k in range(3) if k != plane.axis)
    return (
        grid.shape[rows] * grid.spacing_mm[rows],
        grid.shape[columns] * grid.spacing_mm[columns],
    )


def _draw_slice(
    axes: Any,
    plane: _Plane,
    shown: Scan,
    overlay: NDArray[Any],
    number: int,
    limits: tuple[float, float],
) -> None:
    rows_mm, columns_mm = _panel_mm(plane, shown.grid)
    grey = np.take(shown.voxels, number, axis=plane.axis)
    classes = np.take(overlay, number, axis=plane.axis)
    if plane.upwards:
        grey, classes = grey[::-1], classes[::-1]
    extent = (0.0, columns_mm, rows_mm, 0.0)
    axes.imshow(grey, cmap="gray", vmin=limits[0], vmax=limits[1], extent=extent)
    _draw_classes(axes, classes, rows_mm, columns_mm)
    axes.set(xlim=(0, columns_mm), ylim=(rows_mm, 0), aspect="equal")
    axes.set_axis_off()
    start = [0, 0, 0]
    start[plane.axis] = number
    where = shown.grid.to_patient(start)["xyz".index(plane.coordinate)]
    _mark(axes, 0.5, 0.02, f"{plane.coordinate} = {where:.1f} mm", size=7)
    places = ((0.02, 0.5), (0.98, 0.5), (0.5, 0.98), (0.5, 0.09))
    for letter, (x, y) in zip(plane.letters, places, strict=True):
        _mark(axes, x, y, letter, size=9)
    _scale_bar(axes, rows_mm, columns_mm)


def _draw_classes(
    axes: Any, classes: NDArray[Any], rows_mm: float, columns_mm: float
) -> None:
    """Fill each class lightly and draw its border."""
    rows, columns = classes.shape
    x = (np.arange(columns) + 0.5) * columns_mm / columns
    y = (np.arange(rows) + 0.5) * rows_mm / rows
    for value in np.unique(classes[classes > 0]).tolist():
        inside = (classes == value).astype(np.float32)
        colour = class_colour(value)
        if min(classes.shape) > 1:
            axes.contourf(x, y, inside, levels=[0.5, 1.5], colors=[colour], alpha=0.35)
            axes.contour(x, y, inside, levels=[0.5], colors=[colour], linewidths=0.9)


def _scale_bar(axes: Any, rows_mm: float, columns_mm: float) -> None:
    fitting = [mm for mm in _BARS_MM if mm <= columns_mm / 3]
    length = fitting[-1] if fitting else _BARS_MM[0]
    left, low = 0.04 * columns_mm, 0.96 * rows_mm
    axes.plot([left, left + length], [low, low], color="white", linewidth=2)
    _mark(axes, 0.04, 0.055, f"{length} mm", size=7, align="left")


def _legend(figure: Any, classes: Sequence[FoundClass], *, y: float) -> None:
    from matplotlib.patches import Patch

    if not classes:
        return
    # The space keeps a name that begins with an underscore from being left out.
    handles = [
        Patch(color=class_colour(one.value), label=f" {one.name}: {one.volume_text}")
        for one in classes
    ]
    legend = figure.legend(
        handles=handles,
        loc="center left",
        bbox_to_anchor=(0.0, y),
        ncols=min(len(handles), _LEGEND_COLUMNS),
        frameon=False,
        fontsize=9,
        labelcolor="white",
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _mark(
    axes: Any, x: float, y: float, text: str, *, size: float, align: str = ""
) -> None:
    """Write onto a panel, at a share of its width and height."""
    from matplotlib.patheffects import withStroke

    sides = {0.02: "left", 0.98: "right"}
    axes.text(
        x,
        y,
        text,
        transform=axes.transAxes,
        color="white",
        fontsize=size,
        fontweight="bold",
        horizontalalignment=align or sides.get(x, "center"),
        verticalalignment={0.98: "top", 0.5: "center"}.get(y, "bottom"),
        path_effects=[withStroke(linewidth=2, foreground="black")],
    )


def _text(
    figure: Any, x: float, y: float, text: str, *, size: float, align: str = "left"
) -> None:
    figure.text(
        x,
        y,
        text,
        color="white",
        fontsize=size,
        horizontalalignment=align,
        verticalalignment="center",
        parse_math=False,
    )


def _write_png(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write a picture that also says in its text fields what it is not for."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    about = PngInfo()
    about.add_text("Software", "napari-scanlearn")
    about.add_text("Disclaimer", DISCLAIMER)
    with written_beside(path) as beside:
        Image.fromarray(picture).save(beside, pnginfo=about, dpi=(_DPI, _DPI))
        with Image.open(beside) as stored:
            if not np.array_equal(np.asarray(stored), picture):
                raise OSError(f"{path} was written, but differs when it is read again")
