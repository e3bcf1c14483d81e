"""A prediction as the job wrote it, and as layers over the scan."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.errors import BadScan
from scanlearn.gui.layers import LayerData, Origin, labels_layer, probability_layer
from scanlearn.gui.run_list import undated
from scanlearn.scans.geometry import Grid, grid_from_ras


@dataclass(frozen=True)
class FoundClass:
    """One class of a result."""

    value: int
    name: str
    ml: float


@dataclass(frozen=True)
class Prediction:
    """The files of one scan's result, in the scan's source grid."""

    run: str
    labels: Path
    probabilities: Path
    volumes: Path
    classes: tuple[FoundClass, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """What *Save…* copies."""
        wanted = (self.labels, self.probabilities, self.volumes)
        return tuple(file for file in wanted if file.exists())


def read_predictions(folder: Path) -> list[Prediction]:
    """Read what a predict job wrote: one result a scan."""
    return [read_prediction(file) for file in sorted(folder.glob("*_prediction.json"))]


def read_prediction(file: Path) -> Prediction:
    """Read the summary of one result, ``NAME_prediction.json``.

    Raises
    ------
    BadScan
        If it is no such summary.
    """
    try:
        about = json.loads(file.read_text(encoding="utf-8"))
        return _prediction(file, about)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadScan(
            f"{file} is no prediction: {error}",
            expected="a NAME_prediction.json that 'scanlearn predict' wrote",
            next_step="Name one of those, or predict again",
        ) from error


def prediction_layers(
    predictions: Sequence[Prediction], origin: Origin, shown: Grid
) -> tuple[Prediction, list[LayerData]]:
    """Return the prediction of a shown scan, and its layers on the displayed grid.

    Parameters
    ----------
    predictions
        What the job wrote; a folder of several series gives several.
    origin
        The scan's. The prediction on its source grid is the scan's own.
    shown
        Grid of the image layer.

    Raises
    ------
    BadScan
        If none lies on the grid of the scan.
    """
    from scanlearn.scans.labels import read_label_map

    for prediction in predictions:
        labels, grid = read_label_map(prediction.labels)
        if grid.matches(origin.grid):
            return prediction, _layers(prediction, labels, origin, shown)
    raise BadScan(
        f"No prediction lies on the grid of {origin.source.name}",
        expected="the grid of the scan that is shown",
        next_step="Open the scan anew under Scans and predict again",
    )


def onto(voxels: NDArray[Any], grid: Grid, shown: Grid, *, order: int) -> NDArray[Any]:
    """Return voxels of a source grid on the grid that is displayed."""
    from scanlearn.scans.resample import resample

    if grid.matches(shown):
        return voxels
    return np.ascontiguousarray(resample(voxels, grid, shown, order=order, outside=0))


def save_prediction(prediction: Prediction, folder: Path) -> list[Path]:
    """Copy the files of a prediction, and compare the copies byte by byte.

    Raises
    ------
    OSError
        If a copy differs from its original; it is taken away again.
    """
    saved = []
    for file in prediction.files:
        target = folder / file.name
        draft = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
        try:
            shutil.copyfile(file, draft)
            if draft.read_bytes() != file.read_bytes():
                raise OSError(f"{target} could not be written completely")
            os.replace(draft, target)
        finally:
            draft.unlink(missing_ok=True)
        saved.append(target)
    return saved


def _layers(
    prediction: Prediction, labels: NDArray[Any], origin: Origin, shown: Grid
) -> list[LayerData]:
    names = {found.value: found.name for found in prediction.classes}
    on_shown = onto(labels, origin.grid, shown, order=0)
    layers = [
        _probability(prediction, index, found, origin, shown)
        for index, found in enumerate(prediction.classes, start=1)
        if prediction.probabilities.exists()
    ]
    name = undated(prediction.run)
    overlay = labels_layer(on_shown, shown, origin, name=name, classes=names)
    return [*layers, overlay]


def _probability(
    prediction: Prediction, index: int, found: FoundClass, origin: Origin, shown: Grid
) -> LayerData:
    import nibabel as nib

    image: Any = nib.load(prediction.probabilities)
    channel = np.asarray(image.dataobj[..., index], dtype=np.float32)
    grid = grid_from_ras(channel.shape, image.affine)
    voxels = onto(channel, grid, shown, order=1)
    return probability_layer(voxels, shown, origin, value=found.value, name=found.name)


def _prediction(file: Path, about: dict[str, Any]) -> Prediction:
    classes = tuple(
        FoundClass(int(c["value"]), str(c["name"]), float(c["ml"]))
        for c in about["classes"]
    )
    stem = file.name.removesuffix("_prediction.json")
    return Prediction(
        run=str(about["run"]),
        labels=file.parent / about["labels"],
        probabilities=file.parent / about["probabilities"],
        volumes=file.parent / f"{stem}_volumes.csv",
        classes=classes,
    )
