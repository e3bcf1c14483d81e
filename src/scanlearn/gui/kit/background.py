"""Work off the main thread, owned by a widget: results reach it only while it lives."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from napari.qt.threading import create_worker
from qtpy.QtCore import QObject, QThreadPool, Signal
from superqt.utils import create_worker as create_quiet_worker

from scanlearn.runs.events import Event

#: Longest wait before events that came are shown together.
BATCH_SECONDS = 0.2

#: Most events handed to the main thread at once, so that a long story never stalls it.
BATCH_EVENTS = 2000

#: Watchers sleep most of the time; with one thread a core, Qt's default, two of them
#: would block all else.
_THREADS = 16

Report = Callable[[int, int], None]

#: What napari knows to be going on.
_LISTED: set[str] = set()


@dataclass(frozen=True)
class Failure:
    """An exception carried to the main thread, with what a report needs."""

    error: Exception
    details: str


class _End:
    """The events ended by themselves."""


class _Relay(QObject):
    """Receives on the main thread; as a child of its owner it dies with it."""

    received = Signal(object)
    failed = Signal(object)
    ended = Signal()
    progressed = Signal(int, int)

    def take(self, result: object) -> None:
        if isinstance(result, Failure):
            self.failed.emit(result)
        elif isinstance(result, _End):
            self.ended.emit()
        elif not isinstance(result, list) or result:  # an empty batch is a heartbeat
            self.received.emit(result)

    def take_last(self, result: object) -> None:
        if isinstance(result, Failure):
            self.failed.emit(result)
        else:
            self.received.emit(result)
        self.deleteLater()


class _Named(partial):
    """A function with words of its own for napari's question before it closes."""

    def __repr__(self) -> str:
        return str(self.keywords["name"])


def in_background(
    owner: QObject,
    work: Callable[[Report], Any],
    *,
    done: Callable[[Any], None],
    failed: Callable[[Failure], None],
    progressed: Callable[[int, int], None] | None = None,
) -> Callable[[], None]:
    """Call ``work(report)`` in a thread and give its result to ``done``.

    Parameters
    ----------
    owner
        The widget the result is for; nothing is delivered after it is gone.
    work
        Must not touch any widget. ``report(done, total)`` may be called often.
    done, failed, progressed
        Called on the main thread.

    Returns
    -------
    A function that cancels: nothing is delivered, and the work ends at its next report.
    """
    relay = _Relay(owner)
    relay.received.connect(done)
    relay.failed.connect(failed)
    if progressed is not None:
        relay.progressed.connect(progressed)
    _make_room()
    # napari would list each of these short ones as a task for ever.
    cancelled = threading.Event()
    worker = create_quiet_worker(_safely, work, _decimated(relay, cancelled))
    worker.returned.connect(relay.take_last)
    worker.start()

    def cancel() -> None:
        cancelled.set()
        _silence(relay)

    return cancel


def follow_in_background(
    owner: QObject,
    name: str,
    events: Callable[[], Iterator[Any]],
    *,
    received: Callable[[list[Any]], None],
    failed: Callable[[Failure], None],
    ended: Callable[[], None] | None = None,
) -> Callable[[], None]:
    """Iterate over ``events()`` in a thread and give them on in batches.

    Parameters
    ----------
    owner
        The widget that watches.
    name
        What napari says is going on when the user closes it meanwhile.
    events
        Yields events, and None as a heartbeat at least every tenth of a second.
    received, failed, ended
        Called on the main thread; ``ended`` only when the events end by themselves.

    Returns
    -------
    A function that stops watching. It ends the watcher, not what is watched.
    """
    relay = _Relay(owner)
    relay.received.connect(received)
    relay.failed.connect(failed)
    if ended is not None:
        relay.ended.connect(ended)
    _make_room()
    # napari asks before it closes about each: once is enough for two who watch.
    create = create_quiet_worker if name in _LISTED else create_worker
    worker = create(_Named(_batches, name=name), events)
    if create is create_worker:
        _LISTED.add(name)
        worker.finished.connect(partial(_LISTED.discard, name))
    worker.yielded.connect(relay.take)
    relay.destroyed.connect(worker.quit)
    worker.start()

    def stop() -> None:
        _silence(relay)
        worker.quit()

    return stop


def _silence(relay: _Relay) -> None:
    # Qt deletes it with its owner and after the last result: then nothing more comes.
    with suppress(RuntimeError):
        relay.blockSignals(True)


def _batches(
    events: Callable[[], Iterator[Event | None]], *, name: str
) -> Iterator[list[Event] | Failure | _End]:
    batch: list[Event] = []
    due = time.monotonic() + BATCH_SECONDS
    try:
        for event in events():
            if event is not None:
                batch.append(event)
            overdue = time.monotonic() >= due or len(batch) >= BATCH_EVENTS
            if event is None or overdue:
                yield batch
                batch, due = [], time.monotonic() + BATCH_SECONDS
        yield batch
        yield _End()
    except Exception as error:  # noqa: BLE001 - the border of the thread
        yield Failure(error, f"{name}\n{traceback.format_exc()}")


def _safely(work: Callable[[Report], Any], report: Report) -> Any:
    try:
        return work(report)
    except Exception as error:  # noqa: BLE001 - the border of the thread
        return Failure(error, traceback.format_exc())


class _Cancelled(Exception):
    """Ends work that nobody waits for any more."""


def _decimated(relay: _Relay, cancelled: threading.Event) -> Report:
    last = 0.0

    def report(done: int, total: int) -> None:
        nonlocal last
        if cancelled.is_set():
            raise _Cancelled
        now = time.monotonic()
        if now - last < 0.1 and done < total:
            return
        last = now
        try:
            relay.progressed.emit(done, total)
        except RuntimeError:
            return  # the owner was closed meanwhile

    return report


def _make_room() -> None:
    pool = QThreadPool.globalInstance()
    assert pool is not None
    if pool.maxThreadCount() < _THREADS:
        pool.setMaxThreadCount(_THREADS)


def connect_while_alive(
    widget: QObject, emitter: Any, react: Callable[[], None]
) -> None:
    """Call ``react`` on a napari event for as long as a widget exists."""

    def call(_event: object = None) -> None:
        react()

    emitter.connect(call)
    widget.destroyed.connect(partial(_disconnect, emitter, call))


def _disconnect(emitter: Any, callback: Any, _gone: object = None) -> None:
    emitter.disconnect(callback)
