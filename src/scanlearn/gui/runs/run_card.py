"""One run, watched: name, curve, health, time left, and the ways to end it."""

from __future__ import annotations

from collections.abc import Callable

from qtpy.QtCore import Qt, QUrl, Signal
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QFrame,
    QMenu,
    QProgressBar,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QElidingLabel

from scanlearn.gui.kit.activity import ActivityBar
from scanlearn.gui.kit.background import (
    Failure,
    Report,
    follow_in_background,
    in_background,
)
from scanlearn.gui.kit.health_light import HealthLight
from scanlearn.gui.kit.notice import Notice
from scanlearn.gui.kit.preview_picture import PreviewPicture
from scanlearn.gui.kit.widgets import BORDER, button, gate, hint, row
from scanlearn.gui.runs.curve import Curve
from scanlearn.gui.shared.story import (
    STOPPING,
    Story,
    last_words,
    progress_text,
    sentence,
)
from scanlearn.runs import Event, RunFolder, follow
from scanlearn.runs.events import Crashed, Stopped


class RunCard(QFrame):
    """Follows a run from its first event; the run goes on when the card is closed."""

    ended = Signal(object)
    detached = Signal()

    def __init__(
        self, run: RunFolder, parent: QWidget | None = None, *, activity: bool = True
    ) -> None:
        super().__init__(parent)
        self.run = run
        config = run.config()
        self.story = Story(
            check_every=config.engine.validate_every, imported=config.imported or ""
        )
        self._killed = False
        self.setObjectName("card")
        self.setStyleSheet(
            f"#card {{ border: 1px solid {BORDER}; border-radius: 4px }}"
        )
        self.name = QElidingLabel(run.name)
        self.name.setElideMode(Qt.TextElideMode.ElideMiddle)
        self.name.setToolTip(str(run.path))
        self.name.setStyleSheet("font-weight: 600")
        self.curve = Curve()
        self.curve.setVisible(False)
        self.light = HealthLight()
        self.sentence = hint("Starting: the worker loads its libraries…")
        self.preview = PreviewPicture()
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.progress = hint()
        self.notice = Notice()
        self._build_buttons()
        self._lay_out()
        # A second card of the same run would put a second bar into the activity dock.
        self._activity = ActivityBar(f"training {run.name}", hidden=not activity)
        self._stop_watching: Callable[[], None] = self._watch()

    def _build_buttons(self) -> None:
        self.stop_button = button(
            "Stop and keep",
            self.stop,
            "Finishes the current step, saves a usable model and ends",
        )
        self.detach_button = button(
            "Detach",
            self.detach,
            "Closes this card; the training goes on and is found again under Runs",
        )
        self.more_button = QToolButton()
        self.more_button.setText("⋯")
        # The arrow of a menu would be drawn over the dots.
        self.more_button.setStyleSheet(
            "QToolButton { font-size: 14pt; padding: 0 6px }"
            "QToolButton::menu-indicator { image: none }"
        )
        self.more_button.setToolTip("Kill, folder, log")
        self.more_button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        menu = QMenu(self.more_button)
        kill = menu.addAction("Kill now (keeps the last checkpoint)", self.kill)
        assert kill is not None
        self.kill_action = kill
        menu.addAction("Open folder", self.open_folder)
        menu.addAction("Open log", self.open_log)
        self.more_button.setMenu(menu)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 6, 8, 6)
        layout.setSpacing(4)
        layout.addWidget(self.name)
        layout.addWidget(self.curve)
        layout.addWidget(row(self.light, self.sentence, stretch=1))
        layout.addWidget(self.bar)
        layout.addWidget(self.progress)
        layout.addWidget(self.notice)
        buttons = row(self.stop_button, self.detach_button, self.more_button)
        layout.addWidget(buttons)
        layout.setAlignment(buttons, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(self.preview)

    def hide_buttons(self) -> None:
        """Leave the actions to the dock around the card."""
        self.detach_button.setVisible(False)
        self.stop_button.setVisible(False)

    def stop(self) -> None:
        """Ask the training to finish its step, save and end."""
        self.run.request_stop()
        self._refresh()

    def detach(self) -> None:
        """Stop watching; the training goes on."""
        self._stop_watching()
        self._activity.close()
        self.detached.emit()

    def kill(self) -> None:
        """End the worker at once."""
        self.kill_action.setEnabled(False)
        self._killed = True

        def work(_report: Report) -> None:
            self.run.kill()

        in_background(self, work, done=lambda _: None, failed=self.notice.show_failure)

    def open_folder(self) -> None:
        """Show the run's folder in the file manager."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.run.path)))

    def open_log(self) -> None:
        """Open what the worker printed."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(self.run.log)))

    def _watch(self) -> Callable[[], None]:
        name = self.run.name
        return follow_in_background(
            self,
            f"the watch of {name} (it goes on in the background; reopen to watch it)",
            lambda: follow(self.run),
            received=self._take,
            failed=self._lost,
            ended=self._over,
        )

    def _take(self, events: list[Event]) -> None:
        for event in events:
            self.story.add(event)
        self._refresh()

    def _refresh(self) -> None:
        story = self.story
        self.curve.show_story(story)
        self.curve.setVisible(story.has_curve)
        if story.health is not None:
            self.light.show_light(story.health.light)
        if story.steps or story.last is not None:
            self.sentence.setText(sentence(story))
        if story.preview is not None:
            file = self.run.previews / story.preview.file
            self.preview.show_picture(file, story.preview.caption)
        # Without a number of steps Qt shows a bar that never rests.
        self.bar.setRange(0, story.steps or (story.last is not None))
        self.bar.setValue(story.step)
        if story.last is not None:  # its process may take seconds to go
            gate(self.stop_button, "This training has ended")
            self.progress.setText(last_words(story))
            return
        # Asked of the folder: another dock or a terminal may have asked for the stop.
        stopping = self.run.stop_file.exists()
        gate(self.stop_button, STOPPING if stopping else "")
        self.progress.setText(f"{STOPPING}…" if stopping else progress_text(story))
        self._activity.update(story.step, story.steps)

    def _lost(self, failure: Failure) -> None:
        self.notice.show_failure(failure)
        self._over()

    def _over(self) -> None:
        self._activity.close()
        gate(self.stop_button, "This training has ended")
        self.kill_action.setEnabled(False)
        self.detach_button.setText("Close")
        self.detach_button.setToolTip("Closes this card; the run stays under Runs")
        self._tell_the_end()
        self.ended.emit(self.run)

    def _crash_text(self, last: Crashed) -> str:
        saved = self.story.saved
        resume = f"Resume, under Runs, goes on from step {saved:,}." if saved else ""
        if self._killed:
            again = "Nothing was saved before: Resume, under Runs, begins again."
            return f"Killed. {resume or again}"
        if last.diverged:
            return last.error  # as it is, it would only fail again
        if last.mendable:
            # The worker's own words end with what to do.
            return f"{last.error} {resume}".strip()
        otherwise = "Nothing was saved before; see the log under ⋯."
        error = last.error.rstrip(".")
        return f"The training ended: {error}. {resume or otherwise}"

    def _tell_the_end(self) -> None:
        story, last = self.story, self.story.last
        if isinstance(last, Stopped) and story.warning:
            self.notice.say(story.warning)
        elif isinstance(last, Crashed):
            if not self._killed:
                self.light.show_light("red")
            self.notice.say(
                self._crash_text(last), details=last.details or self.run.crash_report()
            )
