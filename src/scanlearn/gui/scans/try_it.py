"""*Try it*: an artificial scan with what is known of it, a click away."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.gui.kit.widgets import button, gate, hint, primary, row
from scanlearn.gui.viewer.layers import LayerData
from scanlearn.gui.viewer.orientation import show_orientation
from scanlearn.gui.viewer.samples import chest_ct_layers

_ASK = "No scans at hand? See an artificial chest CT and what can be found in it."

_MAKING = "Making an artificial chest CT, which takes some seconds…"

_SHOWN = (
    "An artificial chest CT, in place of a scan of yours. What was put into it is "
    "known; lay it over the scan:"
)

_NEXT = (
    "Painted by you, such labels teach a model: <b>Use this layer</b> under Fine-tune. "
    "<b>Sample</b> writes several such scans to go the whole way with."
)


class TryIt(QWidget):
    """One button, then one for each kind of label of the scan it shows.

    Parameters
    ----------
    viewer
        The napari viewer.
    """

    failed = Signal(object)

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self.text = hint(_ASK)
        self.button = primary("Try it", self.start, "Needs no file and no network")
        self.overlays = {
            kind: button(kind.capitalize(), partial(self._lay, kind))
            for kind in ("lungs", "nodules", "emphysema")
        }
        self._choices = row(*self.overlays.values())
        self._choices.hide()
        self._truth: dict[str, LayerData] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (self.text, self.button, self._choices):
            layout.addWidget(widget)

    def start(self) -> None:
        """Make the scan and show it."""
        gate(self.button, _MAKING, self.text)

        def work(_report: Report) -> Sequence[LayerData]:
            return chest_ct_layers()

        in_background(self, work, done=self._show, failed=self._fail)

    def _show(self, layers: Sequence[LayerData]) -> None:
        (data, settings, _), *truth = layers
        self._truth = dict(zip(self.overlays, truth, strict=True))
        self._viewer.add_image(data, **settings)
        show_orientation(self._viewer)
        self.text.setText(_SHOWN)
        self.button.hide()
        self._choices.show()

    def _lay(self, kind: str) -> None:
        """Lay labels over the scan, at the slice that shows most of them."""
        data, settings, _ = self._truth[kind]
        layer = self._viewer.add_labels(data, **(settings | {"visible": True}))
        fullest = int(np.count_nonzero(data, axis=(1, 2)).argmax())
        height = layer.data_to_world((fullest, 0, 0))[0]
        self._viewer.dims.set_point(0, height)
        gate(self.overlays[kind], "It lies over the scan")
        self.text.setText(_NEXT)

    def _fail(self, failure: Failure) -> None:
        gate(self.button, "", self.text)
        self.text.setText(_ASK)
        self.text.show()
        self.failed.emit(failure)
