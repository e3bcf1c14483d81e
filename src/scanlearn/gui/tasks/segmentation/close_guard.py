"""Before napari closes: what was painted and is kept nowhere is told."""

from __future__ import annotations

from qtpy.QtCore import QEvent, QObject
from qtpy.QtWidgets import QApplication, QMessageBox, QWidget

from scanlearn.gui.tasks.segmentation.keeper import LabelKeeper


class CloseGuard(QObject):
    """Writes what waits when the window closes, and asks about what cannot be kept."""

    def __init__(self, keeper: LabelKeeper, parent: QObject) -> None:
        super().__init__(parent)
        self._keeper = keeper

    def watch(self, window: QWidget | None) -> None:
        """Watch the window that the dock is now in; more often does no harm.

        It is not held: a guard that held napari's window would outlive it.
        """
        if window is not None:
            window.installEventFilter(self)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Hold a window back that would take painted layers with it."""
        if event is None or event.type() != QEvent.Type.Close:
            return False
        lost = self._keeper.flush()
        if not lost or close_anyway(lost):
            return False
        event.ignore()
        return True


def close_anyway(layers: list[str]) -> bool:
    """Ask whether napari shall close although some layers are lost then."""
    noun = "A painted layer is" if len(layers) == 1 else "Painted layers are"
    question = QMessageBox(QApplication.activeWindow())
    question.setIcon(QMessageBox.Icon.Warning)
    question.setText(f"{noun} kept nowhere:\n" + "\n".join(layers))
    question.setInformativeText(
        "Choose the cohort of the scan under Fine-tune, where every stroke is kept, or "
        "save the layer by File > Save Selected Layers."
    )
    leave = question.addButton("Close anyway", QMessageBox.ButtonRole.DestructiveRole)
    stay = question.addButton("Stay", QMessageBox.ButtonRole.RejectRole)
    question.setDefaultButton(stay)
    question.exec()
    return question.clickedButton() is leave
