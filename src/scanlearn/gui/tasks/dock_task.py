"""What the docks ask of a task: gathering labels, layers and words of a result."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from scanlearn.gui.tasks.shared.label_panel import LabelPanel
    from scanlearn.gui.tasks.shared.result_panel import ResultPanel
    from scanlearn.gui.viewer.layers import LayerData, Origin
    from scanlearn.prediction.summary import Prediction
    from scanlearn.scans.geometry import Grid


class DockTask(Protocol):
    """The part of a task that is seen in the docks.

    It stands in ``gui/tasks/NAME/__init__.py``; the files it opens are imported when
    the task is chosen, so that the docks open at once.

    Attributes
    ----------
    reviewed
        Whether people decide about what was found: results are kept then.
    """

    reviewed: bool = False

    @abstractmethod
    def panel(self, viewer: Any) -> LabelPanel:
        """Return what the Fine-tune dock shows to gather labels."""

    @abstractmethod
    def overlay(
        self, prediction: Prediction, origin: Origin, shown: Grid
    ) -> list[LayerData]:
        """Return a prediction as layers over its scan.

        Parameters
        ----------
        prediction
            On the scan's source grid.
        origin
            The scan.
        shown
            Grid of its image layer.
        """

    @abstractmethod
    def result(self, viewer: Any) -> ResultPanel:
        """Return what the Predict dock tells beside the layers."""
