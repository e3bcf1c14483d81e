"""One training as a folder on disk: who starts it, does it and watches it meet here.

The layout is shown in ``docs/architecture.md``. Everything but ``events.jsonl`` and
``log.txt``, which only grow, is written beside its place and renamed.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, Literal

import psutil

from scanlearn import process_identity
from scanlearn.config.run import RunConfig, load_yaml, parse_run_config, to_yaml
from scanlearn.errors import BadRun
from scanlearn.files import sweep, unfinished, write_text
from scanlearn.runs.events import (
    LAST_WORDS,
    Crashed,
    Event,
    Finished,
    Stopped,
    parse_event,
)
from scanlearn.runs.last_line import last_line
from scanlearn.runs.owner import read_owner

#: A worker on another machine that has said nothing for so long is given up.
FOREIGN_SILENCE_SECONDS = 900.0

State = Literal["new", "running", "finished", "stopped", "crashed", "lost"]


class RunFolder:
    """A run on disk; opening one checks that the folder is one."""

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path).expanduser().absolute()
        if not self.exists():
            what = "is no run" if self.path.is_dir() else "does not exist"
            raise BadRun(
                f"{self.path} {what}",
                expected="a folder with a config.yaml, as a training writes it",
                next_step="'scanlearn runs FOLDER' lists the runs of a folder",
            )

    @classmethod
    def create(
        cls, path: Path, config: RunConfig, *, inputs: Path | None = None
    ) -> RunFolder:
        """Make a run: complete at once under its final name, or not at all.

        ``inputs`` is a folder that becomes the run's ``inputs/``; it is moved.
        """
        path = Path(path).expanduser().absolute()
        if path.exists():
            raise BadRun(
                f"{path} exists already",
                next_step="Choose another name, or continue it ('scanlearn resume')",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path.parent)
        draft = unfinished(path)
        try:
            for folder in ("inputs", "checkpoints", "previews"):
                (draft / folder).mkdir(parents=True)
            if inputs is not None:
                shutil.rmtree(draft / "inputs")
                shutil.move(inputs, draft / "inputs")
            (draft / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
            draft.rename(path)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
        return cls(path)

    def exists(self) -> bool:
        """Whether the folder is still there: anyone may delete it."""
        return (self.path / "config.yaml").is_file()

    @property
    def name(self) -> str:
        """Name of the folder, by which people know the run."""
        return self.path.name

    @property
    def inputs(self) -> Path:
        """Labels taken at launch, in patient space."""
        return self.path / "inputs"

    @property
    def checkpoints(self) -> Path:
        """Folder of ``last/``, ``best/`` and the exported encoder."""
        return self.path / "checkpoints"

    @property
    def previews(self) -> Path:
        """Folder of small pictures that events point to."""
        return self.path / "previews"

    @property
    def log(self) -> Path:
        """What the worker printed."""
        return self.path / "log.txt"

    @property
    def events_file(self) -> Path:
        """The story, one JSON document a line."""
        return self.path / "events.jsonl"

    def config(self) -> RunConfig:
        """Read the configuration."""
        return parse_run_config(load_yaml(self.path / "config.yaml"))

    def events(self) -> list[Event]:
        """Read the whole story; a last line still being written is left out."""
        if not self.events_file.exists():
            return []
        lines = self.events_file.read_bytes().split(b"\n")
        return [parse_event(line) for line in lines[:-1] if line]

    def last_event(self) -> Event | None:
        """Return the newest event without reading the whole story."""
        if not self.events_file.exists():
            return None
        line = last_line(self.events_file)
        return parse_event(line) if line else None

    def process(self) -> dict[str, Any]:
        """Return what ``run.json`` says of the worker; empty before it starts."""
        return read_owner(self.path / "run.json")

    def claim(self, facts: dict[str, Any]) -> None:
        """Make this process the run's worker; a run has at most one.

        Parameters
        ----------
        facts
            What else to note: device, versions, seed, cohort fingerprint.
        """
        here = psutil.Process()
        noted = self.process().get("pid") if self.is_alive() else None
        if noted and not self._is_mine(here):
            raise BadRun(
                f"{self.name} is being trained by process {noted}",
                next_step="Watch it, or stop it first",
            )
        if not noted:
            self.clear()
        self.note_owner(here, facts)

    def clear(self) -> None:
        """Remove what was meant for, or left unfinished by, an earlier worker."""
        self.stop_file.unlink(missing_ok=True)
        sweep(self.path, deep=True)

    def note_owner(
        self, worker: psutil.Process, facts: dict[str, Any] | None = None
    ) -> None:
        """Write which process trains the run; a launcher does so before it claims."""
        owner = {
            "pid": worker.pid,
            "process_mark": process_identity.birth_mark(worker.pid),
            "process_started": worker.create_time(),
            "host": socket.gethostname(),
            "job": os.environ.get("SLURM_JOB_ID"),
        }
        write_text(self.path / "run.json", json.dumps(owner | (facts or {}), indent=2))

    def is_alive(self) -> bool:
        """Whether a worker process is on it.

        A worker on another machine counts as alive while its story goes on.
        """
        owner = self.process()
        if not owner:
            return False
        if owner["host"] != socket.gethostname():
            return self._silence_seconds() < FOREIGN_SILENCE_SECONDS and not isinstance(
                self.last_event(), LAST_WORDS
            )
        mark = owner.get("process_mark") or _mark_of_old(owner)
        return process_identity.is_alive(owner["pid"], mark)

    def _is_mine(self, here: psutil.Process) -> bool:
        """Whether this process, or one that started it, has claimed the run.

        Or a cluster's job that it goes on with, whose first machine was taken away.
        """
        owner, job = self.process(), os.environ.get("SLURM_JOB_ID")
        if owner["host"] != socket.gethostname():
            return job is not None and owner.get("job") == job
        return owner["pid"] in {p.pid for p in (here, *here.parents())}

    def _silence_seconds(self) -> float:
        written = self.events_file if self.events_file.exists() else self.path
        return time.time() - written.stat().st_mtime

    def state(self) -> State:
        """Say where the run stands; ``lost`` means that its worker vanished."""
        last = self.last_event()
        alive = self.is_alive()
        if isinstance(last, LAST_WORDS) and not alive:
            if isinstance(last, Finished):
                return "finished"
            return "stopped" if isinstance(last, Stopped) else "crashed"
        if alive:
            return "running"
        return "lost" if self.process() else "new"

    @property
    def stop_file(self) -> Path:
        """Exists when the run shall finish its step, save and exit."""
        return self.path / "stop"

    def request_stop(self) -> None:
        """Ask the worker to finish its step, save and exit."""
        self.stop_file.touch()

    def kill(self) -> None:
        """End the worker at once; the last checkpoint stays."""
        if self.is_alive() and self.process()["host"] == socket.gethostname():
            worker = psutil.Process(self.process()["pid"])
            family = [*worker.children(recursive=True), worker]
            for process in family:
                process.kill()
            psutil.wait_procs(family, timeout=10)

    def crash_report(self) -> str:
        """Return the error of a crashed or lost run with the end of its log."""
        last = self.last_event()
        cause = last.error if isinstance(last, Crashed) else "The worker vanished"
        tail = ""
        if self.log.exists():
            tail = "\n".join(
                self.log.read_text("utf-8", errors="replace").splitlines()[-30:]
            )
        return f"{cause}\n\n{self.log}:\n{tail}"


class EventLog:
    """The one writer of a run's story."""

    def __init__(self, run: RunFolder) -> None:
        self._mend(run.events_file)
        self._file = run.events_file.open("ab", buffering=0)

    def write(self, event: Event) -> None:
        """Append an event; readers see it at once and never half of it."""
        self._file.write(event.model_dump_json().encode() + b"\n")

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    @staticmethod
    def _mend(path: Path) -> None:
        # A worker killed in the middle of a line left it without an end.
        if not path.exists():
            return
        data = path.read_bytes()
        if data and not data.endswith(b"\n"):
            with path.open("r+b") as file:
                file.truncate(data.rfind(b"\n") + 1)


def _mark_of_old(owner: dict[str, Any]) -> str:
    """Return the birth mark of a worker noted by 0.1, which told it by the clock."""
    try:
        started = psutil.Process(owner["pid"]).create_time()
        same = abs(started - owner["process_started"]) < 1.0
        return process_identity.birth_mark(owner["pid"]) if same else ""
    except psutil.Error:
        return ""


def find_runs(folder: Path) -> Iterator[RunFolder]:
    """Yield the runs of a folder, newest first; none that vanish meanwhile."""
    found = []
    for file in Path(folder).expanduser().glob("[!.]*/config.yaml"):
        with suppress(OSError):
            found.append((file.stat().st_mtime, file.parent))
    for _, path in sorted(found, reverse=True):
        with suppress(BadRun):
            yield RunFolder(path)


def new_run_path(folder: Path, what: str) -> Path:
    """Return a free path such as ``folder/2026-11-21_drasclr_chest``."""
    stem = f"{date.today().isoformat()}_{what}"
    path, n = folder / stem, 1
    while path.exists():
        n += 1
        path = folder / f"{stem}_{n}"
    return path
