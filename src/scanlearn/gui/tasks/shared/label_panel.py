"""What the Fine-tune dock asks of a task: somewhere to gather its labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from scanlearn.cohort.catalogue import Cohort
from scanlearn.errors import ScanlearnError


class GatheredLabels(Protocol):
    """Labels as they were when *Fine-tune* was pressed; safe to use in a thread."""

    def changes(self) -> dict[str, Any]:
        """Return settings that follow from the labels, such as the classes."""
        ...

    def source(self, cohort: Cohort, draft: Path) -> Path:
        """Return what ``--labels`` would name; drawn labels are written to ``draft``.

        Raises
        ------
        ScanlearnError
            If they are not on scans of the cohort.
        """
        ...


class LabelPanel(QWidget):
    """The part of the Fine-tune dock that is of one task.

    Parameters
    ----------
    viewer
        The napari viewer.
    """

    #: Something was drawn, added or taken away.
    changed = Signal()
    #: A :class:`ScanlearnError` or :class:`Failure` to show in the dock.
    failed = Signal(object)

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.viewer = viewer

    def attempt(self, action: Callable[[], object]) -> None:
        """Do what a button asks for; the dock shows why it cannot be done."""
        try:
            action()
        except ScanlearnError as error:
            self.failed.emit(error)

    def new_layer(self) -> None:
        """Add an empty layer to draw on, where the task has one."""

    def take(self, source: Any) -> None:
        """Take labels that another dock offers, where the task has any such."""

    def show_cohort(self, cohort: Path | None) -> None:
        """Note the chosen cohort, where labels are gathered scan by scan."""

    def refresh(self) -> None:
        """Look again at the viewer's layers."""

    def missing(self) -> str:
        """Say what is still needed before a training; empty when nothing is."""
        raise NotImplementedError

    def labelled(self) -> int | None:
        """Return how many scans have labels, about; None where it is not known."""
        return None

    def gathered(self) -> GatheredLabels:
        """Return the labels as they are now."""
        raise NotImplementedError
