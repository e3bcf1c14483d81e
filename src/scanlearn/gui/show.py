"""``python -m scanlearn.gui.show``: a scan with what a model found, in napari."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from qtpy.QtWidgets import QLabel, QVBoxLayout, QWidget

from scanlearn.errors import BadScan, ScanlearnError
from scanlearn.files import written_beside
from scanlearn.gui.kit.widgets import heading, hint
from scanlearn.gui.predict.prediction_layers import prediction_layers
from scanlearn.gui.shared.run_list import undated
from scanlearn.gui.tasks.registry import dock_task
from scanlearn.gui.tasks.shared.label_layers import onto
from scanlearn.gui.tasks.shared.result_panel import ResultPanel
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import (
    LayerData,
    Origin,
    grid_of,
    labels_layer,
    origin_of,
)
from scanlearn.gui.viewer.orientation import show_orientation
from scanlearn.prediction.summary import Prediction, read_prediction
from scanlearn.scans.geometry import Grid

#: Window of a picture, in screen points.
PICTURE_SIZE = (1500, 950)

#: A window draws itself completely some events after it is first shown.
_SETTLE_SECONDS = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Show the scan until its window is closed, or save a picture of it and end."""
    asked = _parser().parse_args(arguments)
    import napari

    viewer = napari.Viewer(show=True)
    try:
        show_prediction(
            viewer, asked.scan, prediction=asked.prediction, truth=asked.truth
        )
        if asked.picture is None:
            napari.run()
        else:
            take_picture(viewer, asked.picture)
    except ScanlearnError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    finally:
        _close(viewer)
    return 0


def show_prediction(
    viewer: Any, scan: Path, *, prediction: Path, truth: Path | None = None
) -> None:
    """Lay a prediction, and the ground truth where it is known, over a scan.

    Parameters
    ----------
    viewer
        A napari viewer without other layers.
    scan
        The scan that was predicted on: a DICOM folder or a file.
    prediction
        The summary that ``scanlearn predict`` wrote.
    truth
        A label map of the same classes in any grid.

    Raises
    ------
    ScanlearnError
        If a file cannot be read, or the prediction lies on another grid.
    """
    from napari.layers import Labels

    data, settings, _ = _read_scan(scan)
    image = viewer.add_image(data, **settings)
    origin, shown = origin_of(image), grid_of(image)
    assert origin is not None
    found, layers = prediction_layers([read_prediction(prediction)], origin, shown)
    *probabilities, overlay = layers
    added = [
        getattr(viewer, f"add_{kind}")(data, **about)
        for data, about, kind in (*probabilities[:1], overlay)
    ]
    fullest = predicted = added[-1]
    if truth is not None:
        voxels, about, _ = _truth_layer(truth, found, origin, shown)
        fullest = viewer.add_labels(voxels, **about)
        fullest.contour = 2
    viewer.layers.selection.active = predicted
    show_orientation(viewer)
    panel = ResultDock(viewer, found, added, with_truth=truth is not None)
    if isinstance(fullest, Labels):
        _show_fullest_slice(viewer, fullest)
    viewer.title = f"{found.run} on {scan.name}"
    viewer.window.add_dock_widget(panel, name="Result", area="right")


class ResultDock(QWidget):
    """What the task tells of a result, as in the Predict dock."""

    def __init__(
        self,
        viewer: Any,
        found: Prediction,
        layers: list[Any],
        *,
        with_truth: bool,
        parent: QWidget | None = None,
    ) -> None:
        super().__init__(parent)
        self.told: ResultPanel = dock_task(found.task).result(viewer)
        self.told.show_prediction(found, layers)
        disclaimer = QLabel("Not for clinical use")
        disclaimer.setStyleSheet("font-weight: 600")
        layout = QVBoxLayout(self)
        layout.addWidget(heading(undated(found.run)))
        layout.addWidget(self.told)
        if with_truth:
            layout.addWidget(hint("Filled: prediction. Line: ground truth."))
        layout.addWidget(disclaimer)
        layout.addStretch(1)
        self.setMinimumWidth(280)


def take_picture(viewer: Any, path: Path) -> None:
    """Save a picture of the whole window; the file appears complete or not at all."""
    import imageio.v3 as imageio
    from qtpy.QtWidgets import QApplication

    viewer.window.resize(*PICTURE_SIZE)
    end = time.monotonic() + _SETTLE_SECONDS
    while time.monotonic() < end:
        QApplication.processEvents()
    viewer.reset_view()
    QApplication.processEvents()
    pixels = viewer.screenshot(canvas_only=False, flash=False)
    with written_beside(path) as draft:
        imageio.imwrite(draft, np.asarray(pixels)[..., :3])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scanlearn.gui.show")
    parser.description = "Show a scan in napari with what a model found on it."
    parser.add_argument("scan", type=Path, help="DICOM folder or file of the scan")
    parser.add_argument(
        "--prediction",
        type=Path,
        required=True,
        help="the NAME_prediction.json that 'scanlearn predict' wrote",
    )
    parser.add_argument("--truth", type=Path, help="label map to compare with")
    parser.add_argument("--picture", type=Path, help="save a PNG and end")
    return parser


def _read_scan(path: Path) -> LayerData:
    from scanlearn.scans.find import find_scans

    entries = find_scans(path)
    good = [entry for entry in entries if not entry.error]
    if not good:
        raise BadScan(entries[0].error, next_step="Choose another file")
    return read_entry(good[0])


def _truth_layer(
    path: Path, found: Prediction, origin: Origin, shown: Grid
) -> LayerData:
    from scanlearn.scans.labels.read_labels import read_label_map

    labels, grid = read_label_map(path)
    classes = {one.value: one.name for one in found.classes}
    return labels_layer(
        onto(labels, grid, shown, order=0),
        shown,
        origin,
        name="ground truth",
        classes=classes,
        opacity=1.0,
    )


def _show_fullest_slice(viewer: Any, labels: Any) -> None:
    """Go to the axial slice with most of what is there, or was found."""
    fullest = int(np.argmax(np.count_nonzero(labels.data, axis=(1, 2))))
    viewer.dims.set_point(0, labels.data_to_world((fullest, 0, 0))[0])


def _close(viewer: Any) -> None:
    try:
        viewer.close()
    except RuntimeError:
        return  # the user closed the window herself


if __name__ == "__main__":
    sys.exit(main())
