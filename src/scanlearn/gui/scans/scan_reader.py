"""Reading scans off the main thread, one by one; the middle slice comes first."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from qtpy.QtCore import QObject, Signal

from scanlearn.gui.kit.background import Failure, follow_in_background
from scanlearn.gui.viewer.file_layers import first_slice, read_entry, read_mask
from scanlearn.gui.viewer.layers import LayerData, set_contrast
from scanlearn.scans.read import OnUneven
from scanlearn.scans.scan import ScanEntry

#: Whether it is the whole scan, and its layer.
Part = tuple[bool, LayerData]

#: Reads a scan part by part; None is a heartbeat.
Parts = Callable[[], Iterator[Part | None]]


class ScanReader(QObject):
    """Shows scans in a viewer: the middle slice first, then the whole in its place."""

    progressed = Signal(str, int, int)
    failed = Signal(object)
    ended = Signal()

    def __init__(self, viewer: Any, parent: QObject) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._waiting: deque[tuple[ScanEntry, Parts]] = deque()
        self._total = 0
        self._layer: Any = None
        self._is_whole = False
        self._stop: Callable[[], None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a scan is being read."""
        return self._stop is not None

    def read(self, entry: ScanEntry, *, on_uneven: OnUneven = "refuse") -> None:
        """Read a scan as soon as those before it are read."""
        self._wait(entry, lambda: _parts(entry, on_uneven))

    def read_labels(self, entry: ScanEntry) -> None:
        """Read a label map as soon as those before it are read."""
        self._wait(entry, lambda: _label_parts(entry))

    def _wait(self, entry: ScanEntry, parts: Parts) -> None:
        self._waiting.append((entry, parts))
        self._total += 1
        if not self.busy:
            self._next()

    def cancel(self) -> None:
        """Show nothing more; a slice that stands for its scan goes away too."""
        if self._stop is not None:
            self._stop()
        if self._layer is not None and not self._is_whole:
            self._viewer.layers.remove(self._layer)
        self._waiting.clear()
        self._end()

    def _next(self) -> None:
        self._layer, self._is_whole = None, False
        if not self._waiting:
            self._end()
            return
        entry, parts = self._waiting.popleft()
        done = self._total - len(self._waiting) - 1
        self.progressed.emit(f"Reading {entry.path.name}…", done, self._total)
        self._stop = follow_in_background(
            self,
            f"reading {entry.path.name}",
            parts,
            received=self._show,
            failed=self._fail,
            ended=self._next,
        )

    def _show(self, parts: list[Part]) -> None:
        for is_whole, (data, settings, kind) in parts:
            self._is_whole = is_whole
            if self._layer is None or self._layer not in self._viewer.layers:
                add = getattr(self._viewer, f"add_{kind}")
                self._layer = add(data, **settings)
            else:
                _replace(self._layer, data, settings)

    def _fail(self, failure: Failure) -> None:
        if self._layer is not None and self._layer in self._viewer.layers:
            self._viewer.layers.remove(self._layer)
        self.failed.emit(failure)
        self._next()

    def _end(self) -> None:
        self._stop, self._layer, self._total = None, None, 0
        self.ended.emit()


def _parts(entry: ScanEntry, on_uneven: OnUneven) -> Iterator[Part | None]:
    yield None
    early = first_slice(entry)
    if early is not None:
        yield False, early
        yield None  # shown now, not together with the whole
    yield True, read_entry(entry, on_uneven=on_uneven)


def _label_parts(entry: ScanEntry) -> Iterator[Part | None]:
    yield None
    yield True, read_mask(entry.path)


def _replace(layer: Any, data: Any, settings: dict[str, Any]) -> None:
    """Let a layer show the whole of its scan; the slice in sight stays in its place."""
    layer.data = data
    layer.affine = settings["affine"]
    layer.metadata = settings["metadata"]
    set_contrast(layer, *settings["contrast_limits"])
