"""A job beside the button that started it: what it does, how far it is, Cancel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QApplication, QProgressBar, QVBoxLayout, QWidget

from scanlearn.gui.kit.activity import ActivityBar
from scanlearn.gui.kit.background import Failure, follow_in_background
from scanlearn.gui.kit.durations import TimeLeft
from scanlearn.gui.kit.widgets import button, hint, row
from scanlearn.runs import Event, Job
from scanlearn.runs.events import Crashed, Finished, Message, Step

#: More are told as a percentage.
_MOST_COUNTED = 100


class JobRow(QWidget):
    """Runs one command at a time; hidden while there is none."""

    finished = Signal(list)
    failed = Signal(object)
    cancelled = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.label = hint()
        self.bar = QProgressBar()
        self.bar.setTextVisible(True)
        self.cancel_button = button(
            "Cancel", self.cancel, "End this now; nothing half-written is left behind"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.label)
        layout.addWidget(row(self.bar, self.cancel_button, stretch=0))
        self._job: Job | None = None
        self._stop: Callable[[], None] | None = None
        self._title = ""
        self._events: list[Event] = []
        self._activity: ActivityBar | None = None
        self._left = TimeLeft()
        self.setVisible(False)
        application = QApplication.instance()
        assert application is not None
        application.aboutToQuit.connect(self.cancel)

    @property
    def busy(self) -> bool:
        """Whether a job is running."""
        return self._job is not None

    def start(self, arguments: Sequence[str], title: str) -> None:
        """Run a command; one of the three signals follows."""
        self._events = []
        self._title = title
        self._left = TimeLeft()
        self._activity = ActivityBar(title)
        self._show(title, 0, 0)
        self._job = Job(list(arguments))
        # However this row goes away, its job does not outlive it.
        self.destroyed.connect(partial(_cancel, self._job))
        self._stop = follow_in_background(
            self,
            title,
            self._job.events,
            received=self._take,
            failed=self._fail,
        )

    def cancel(self) -> None:
        """End the command now."""
        if self._job is not None:
            self._job.cancel()
            self._end()
            self.cancelled.emit()

    def _take(self, events: list[Event]) -> None:
        if self._job is None:
            return
        self._events += events
        steps = [event for event in events if isinstance(event, Step)]
        if steps:  # only the newest: a bar repaints itself at once
            self._show(self.label.text(), steps[-1].step, _total(steps[-1]))
        for event in events:
            if isinstance(event, Message):
                self.label.setText(event.text)
            elif isinstance(event, Crashed):
                self._fail(_failure(self._title, event))
                return
            elif isinstance(event, Finished):
                self._end()
                self.finished.emit(self._events)
                return

    def _show(self, text: str, done: int, total: int) -> None:
        self.label.setText(text)
        self.bar.setRange(0, total)
        self.bar.setValue(done)
        # Thousands of windows say less than their share.
        count = "%p %" if total > _MOST_COUNTED else "%v of %m"
        parts = (count, self._left.text(done, total)) if total else ()
        self.bar.setFormat(" · ".join(filter(None, parts)))
        self.setVisible(True)
        if self._activity is not None:
            self._activity.update(done, total)

    def _fail(self, failure: Failure) -> None:
        self._end()
        self.failed.emit(failure)

    def _end(self) -> None:
        if self._stop is not None:
            self._stop()
        if self._activity is not None:
            self._activity.close()
        self._job, self._stop, self._activity = None, None, None
        self.setVisible(False)


class JobError(Exception):
    """The words a command ended with."""


def _failure(title: str, event: Crashed) -> Failure:
    text = event.error
    if not event.mendable:
        text = (
            f"{title} ended: {event.error.rstrip('.')}. Your scans and labels are "
            "untouched. Try again; if it happens again, send the details to the "
            "developers."
        )
    return Failure(JobError(text), f"{title}\n\n{event.details}")


def _total(event: Step) -> int:
    return int(event.values.get("total", 0))


def _cancel(job: Job) -> None:
    job.cancel()
