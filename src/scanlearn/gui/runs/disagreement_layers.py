"""Two predictions of one scan, and where they differ, as layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from scanlearn.errors import BadScan
from scanlearn.gui.viewer.layers import LayerData, Origin, labels_layer
from scanlearn.prediction.label_difference import difference, same_classes
from scanlearn.prediction.summary import read_predictions
from scanlearn.scans.geometry import Grid

#: Folders of what each of both predicted, as ``scanlearn disagree`` writes them.
_SIDES = ("one", "other")


def pair_layers(
    out: Path, origin: Origin, shown: Grid, names: tuple[str, str]
) -> list[LayerData]:
    """Return both label maps, hidden, and their disagreement over a shown scan; slow.

    Parameters
    ----------
    out
        What ``scanlearn disagree`` wrote for the scan.
    origin, shown
        Of the scan's layer, and its grid.
    names
        Of both runs.

    Raises
    ------
    BadScan
        If no prediction lies on the grid of the scan.
    """
    from scanlearn.scans.resample import resample

    one, other = (read_predictions(out / side) for side in _SIDES)
    both = [(a, b) for a in one for b in other if a.scan == b.scan]
    mine = next((pair for pair in both if pair[0].grid.matches(origin.grid)), None)
    if mine is None:
        raise BadScan(
            f"No prediction lies on the grid of {origin.source.name}",
            expected="the grid of the scan that is shown",
            next_step="Open the scan anew under Scans and compare again",
        )
    one_map, other_map, classes = same_classes(*mine)
    apart = {1: f"only {names[0]}", 2: f"only {names[1]}", 3: "other classes"}

    def layer(
        voxels: NDArray[Any], name: str, meaning: dict[int, str], *, visible: bool
    ) -> LayerData:
        if not origin.grid.matches(shown):
            voxels = resample(voxels, origin.grid, shown, order=0, outside=0)
        made = labels_layer(voxels, shown, origin, name=name, classes=meaning)
        made[1]["visible"] = visible
        return made

    found = difference(one_map, other_map)
    return [
        layer(one_map, names[0], classes, visible=False),
        layer(other_map, names[1], classes, visible=False),
        layer(found, "disagreement", apart, visible=True),
    ]
