"""What the docks know of the runs on disk, read off the main thread."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QWidget

from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.gui.shared.story import Story, best_text
from scanlearn.pretraining.registry import all_methods
from scanlearn.runs import RunFolder, find_runs
from scanlearn.runs.about import About, read_about
from scanlearn.runs.damage import Damage, damage
from scanlearn.runs.events import parse_event
from scanlearn.runs.pace import disk_bytes
from scanlearn.tasks.registry import all_tasks

REFRESH_MILLISECONDS = 2000


@dataclass(frozen=True)
class RunRow:
    """One run as a line of a table or a choice of a list."""

    path: Path
    kind: str
    method: str
    state: str
    step: int = 0
    steps: int = 0
    best: str = ""
    light: str = ""
    sentence: str = ""
    cohorts: tuple[Path, ...] = ()
    has_model: bool = False
    start_from: Path | None = None
    stopping: bool = False
    about: About = field(default_factory=About)
    seconds: float = 0.0
    ends_at: float | None = None
    disk_bytes: int = 0

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.path.name

    @property
    def title(self) -> str:
        """The name it was given, else that of its folder without the date."""
        return self.about.name or undated(self.name)

    @property
    def damaged(self) -> bool:
        """Whether it cannot be read; ``sentence`` says why."""
        return self.kind == "?"

    @property
    def percent(self) -> int:
        """How much is done."""
        return round(100 * self.step / self.steps) if self.steps else 0


def undated(name: str) -> str:
    """Return the name of a run without the date it begins with."""
    return re.sub(r"^\d{4}-\d\d-\d\d_", "", name)


def date_of(name: str) -> str:
    """Return the date that the name of a run begins with, if it does."""
    found = re.match(r"\d{4}-\d\d-\d\d(?=_)", name)
    return found.group() if found else ""


class RunList(QObject):
    """The runs of a folder; ``changed`` says that they are others than before."""

    changed = Signal(object)
    failed = Signal(object)

    def __init__(self, folder: Callable[[], Path]) -> None:
        super().__init__()
        self._folder = folder
        self._stories: dict[Path, _Telling] = {}
        self._busy = False
        self.rows: tuple[RunRow, ...] = ()

    def watch(self, widget: QWidget) -> None:
        """Refresh the list every two seconds while a widget is seen, or a run runs."""
        timer = QTimer(widget)
        timer.setInterval(REFRESH_MILLISECONDS)
        timer.timeout.connect(lambda: self._due(widget))
        timer.start()
        self.refresh()

    def _due(self, widget: QWidget) -> None:
        # The end of a training is told also to who looks at another dock.
        if widget.isVisible() or any(run.state == "running" for run in self.rows):
            self.refresh()

    def refresh(self) -> None:
        """Read the runs again, unless that is going on."""
        if self._busy:
            return
        self._busy = True
        in_background(self, self._read, done=self._done, failed=self._failed)

    def _done(self, rows: tuple[RunRow, ...]) -> None:
        self._busy = False
        if rows != self.rows:
            self.rows = rows
            self.changed.emit(rows)

    def _failed(self, failure: Failure) -> None:
        self._busy = False
        self.failed.emit(failure)

    def _read(self, _report: Report) -> tuple[RunRow, ...]:
        # A configuration can be read once those are known who brought its section.
        all_methods()
        all_tasks()
        rows = []
        for run in find_runs(self._folder()):
            telling = self._stories.setdefault(run.path, _Telling())
            try:
                rows.append(_row(run, telling))
            except Exception as error:  # noqa: BLE001 - one run is not the end of all
                rows.append(_unreadable(run.path, damage(error), telling))
        return tuple(rows)


@dataclass
class _Telling:
    """A story and how far its file has been read."""

    story: Story = field(default_factory=Story)
    position: int = 0
    _measured: tuple[int | None, str] | None = None
    _disk_bytes: int = 0

    def disk_bytes(self, run: Path, state: str) -> int:
        """Return the size of a run; measured again only when it has saved, or ended."""
        now = (self.story.saved, state)
        if now != self._measured:
            self._measured, self._disk_bytes = now, disk_bytes(run)
        return self._disk_bytes

    def read_on(self, file: Path) -> Story:
        if not file.exists():
            return self.story
        if file.stat().st_size < self.position:  # moved away, and begun again
            self.story, self.position = Story(), 0
        with file.open("rb") as events:
            events.seek(self.position)
            chunk = events.read()
        whole = chunk[: chunk.rfind(b"\n") + 1]
        lines = [line for line in whole.split(b"\n") if line]
        points = [n for n, line in enumerate(lines) if b'"kind":"step"' in line[:80]]
        # A long training has thousands of curve points: only the newest is needed.
        unneeded = set(points[:-1])
        wanted = [line for n, line in enumerate(lines) if n not in unneeded]
        # All are read before any is told: a damaged line is found at every look.
        for event in [parse_event(line) for line in wanted]:
            self.story.add(event)
        self.position += len(whole)
        return self.story


def _unreadable(path: Path, told: Damage, telling: _Telling) -> RunRow:
    return RunRow(
        *(path, "?", "?", told.word),
        sentence=told.sentence,
        about=read_about(path),
        disk_bytes=telling.disk_bytes(path, told.word),
    )


def _row(run: RunFolder, telling: _Telling) -> RunRow:
    config = run.config()
    story = telling.read_on(run.events_file)
    state = run.state()
    return RunRow(
        path=run.path,
        kind=config.kind,
        method=config.recipe.name,
        state=state,
        stopping=state == "running" and run.stop_file.exists(),
        step=story.step,
        steps=story.steps or config.engine.steps,
        best=best_text(story),
        light=story.health.light if story.health else "",
        sentence=story.health.sentence if story.health else "",
        cohorts=config.cohorts,
        # What is there before the first save has learned nothing yet.
        has_model=bool(story.saved) or state in ("finished", "stopped"),
        start_from=config.start_from,
        about=read_about(run.path),
        seconds=story.work.seconds,
        ends_at=story.ends_at if state == "running" else None,
        disk_bytes=telling.disk_bytes(run.path, state),
    )
