"""A class-activation map over its image as a picture for a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.config.palette import AGAINST, FOR
from scanlearn.files import written_beside
from scanlearn.prediction.summary import Prediction
from scanlearn.scans.scan import Scan
from scanlearn.scans.tables.results import DISCLAIMER

_DPI = 150
_INCHES = 4.2


def read_activation(prediction: Prediction) -> dict[str, NDArray[np.float32]]:
    """Return each class's map (1, rows, columns) in the image's own grid."""
    import nibabel as nib

    image: Any = nib.load(prediction.maps[0])
    maps = np.asarray(image.dataobj, dtype=np.float32)
    return {
        name: np.ascontiguousarray(maps[..., k])
        for k, name in enumerate(prediction.facts["probabilities_of"])
    }


def told_classes(prediction: Prediction) -> list[str]:
    """Return the classes whose maps are worth a look, likely ones first.

    Of two exclusive classes the second alone: what speaks for one speaks against the
    other.
    """
    shares = prediction.facts["probabilities_of"]
    names = list(shares)
    if len(names) == 2 and not prediction.facts["several"]:
        return names[1:]
    return sorted(names, key=lambda name: -shares[name])


def write_activation_figure(
    folder: Path, prediction: Prediction, scan: Scan
) -> list[Path]:
    """Write ``NAME_activation.png``: the image, and the map of the likeliest class."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.figure import Figure

    name = told_classes(prediction)[0]
    found = read_activation(prediction)[name][0]
    share = prediction.facts["probabilities_of"][name]
    pixels = np.asarray(scan.voxels[0], dtype=np.float32)
    low, high = np.percentile(pixels, [0.5, 99.5])
    reach = float(np.abs(found).max()) or 1.0
    colours = LinearSegmentedColormap.from_list(
        "activation", [AGAINST, AGAINST + "00", FOR + "00", FOR]
    )
    rows, columns = pixels.shape
    spacing = scan.grid.spacing_mm
    aspect = spacing[1] / spacing[2]
    height = _INCHES * rows * aspect / columns
    figure = Figure(figsize=(2 * _INCHES + 0.8, height + 0.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes in (left, right):
        axes.imshow(pixels, cmap="gray", vmin=low, vmax=high, aspect=aspect)
        axes.set_axis_off()
    shown = right.imshow(found, cmap=colours, vmin=-reach, vmax=reach, aspect=aspect)
    bar = figure.colorbar(shown, ax=right, fraction=0.046, ticks=[-reach, 0, reach])
    bar.ax.set_yticklabels(["against", "0", "for"])
    left.set_title(f"{name}: probability {share:.2f}", fontsize=10, loc="left")
    right.set_title(f"what speaks for {name}", fontsize=10, loc="left")
    figure.supxlabel(f"{prediction.run} · {DISCLAIMER}", fontsize=8, x=0.01, ha="left")
    path = folder / f"{prediction.scan}_activation.png"
    with written_beside(path) as draft:
        figure.savefig(draft, dpi=_DPI, format="png")
    return [path]
