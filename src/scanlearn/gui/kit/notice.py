"""The yellow line: what happened, what was expected, the next step, Copy details."""

from __future__ import annotations

import platform
from collections.abc import Callable

from qtpy.QtGui import QGuiApplication
from qtpy.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from scanlearn.errors import of_the_world
from scanlearn.gui.kit.background import Failure
from scanlearn.gui.kit.job_row import JobError
from scanlearn.gui.kit.widgets import button
from scanlearn.version import __version__

_STYLE = (
    "#notice { background: #F0E442; border-radius: 4px }"
    "#notice QLabel { color: #1a1a1a; background: transparent }"
    "#notice QPushButton { color: #1a1a1a; background: #d6cb2f; padding: 3px 8px }"
    "#notice QPushButton:hover { background: #c4ba22 }"
)


class Notice(QFrame):
    """A problem, read in place; hidden while there is none."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("notice")
        self.setStyleSheet(_STYLE)
        # As high as its wrapped words need: a maximum would cut long ones.
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.copy_button = button("Copy details", self._copy)
        self.action_button = button("", self._act)
        self.close_button = button("✕", self.clear, "Dismiss")
        self._details = ""
        self._action: Callable[[], object] | None = None
        buttons = QHBoxLayout()
        buttons.addWidget(self.action_button)
        buttons.addWidget(self.copy_button)
        buttons.addStretch(1)
        buttons.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.addWidget(self.text)
        layout.addLayout(buttons)
        self.clear()

    def show_failure(self, failure: Failure) -> None:
        """Show an exception that came from a thread."""
        self.show_error(failure.error, details=failure.details)

    def show_error(self, error: Exception, *, details: str = "") -> None:
        """Show an error in the user's language; the rest only on *Copy details*."""
        mendable = error if isinstance(error, JobError) else of_the_world(error)
        if mendable is not None:
            self.say(str(mendable), details=details or repr(error))
            return
        self.say(
            f"Something unexpected happened ({type(error).__name__}: {error}). "
            "Your scans and labels are untouched. Try again; if it happens again, "
            "send the details to the developers.",
            details=details or repr(error),
        )

    def say(
        self,
        text: str,
        *,
        details: str = "",
        action: tuple[str, Callable[[], object]] | None = None,
    ) -> None:
        """Show a sentence, with the next step as a button where there is one."""
        self.text.setText(text)
        self._details = details or text
        self.copy_button.setText("Copy details")
        self._action = action[1] if action else None
        self.action_button.setText(action[0] if action else "")
        self.action_button.setVisible(action is not None)
        self.setVisible(True)

    def clear(self) -> None:
        """Take the notice away."""
        self.text.clear()
        self.setVisible(False)

    def _copy(self) -> None:
        about = f"napari-scanlearn {__version__}, {platform.platform()}"
        report = f"{self.text.text()}\n\n{about}\n\n{self._details}"
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(report)
        self.copy_button.setText("Copied")

    def _act(self) -> None:
        action = self._action
        self.clear()
        if action is not None:
            action()
