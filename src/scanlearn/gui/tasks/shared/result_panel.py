"""What the Predict dock asks of a task: something to tell a result with."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from scanlearn.prediction.summary import Prediction


class ResultPanel(QWidget):
    """The part of the Predict dock that is of one task.

    Parameters
    ----------
    viewer
        The napari viewer, for lines that lead to a place in the scan.
    """

    #: What the result can be saved as may have changed.
    changed = Signal()
    #: An error to show in the dock.
    failed = Signal(object)

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer

    def show_prediction(self, prediction: Prediction, layers: list[Any]) -> None:
        """Tell a result; ``layers`` are those that were added for it."""
        raise NotImplementedError
