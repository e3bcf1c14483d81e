"""Every stroke goes to the cohort's folder, and comes back with its scan."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QApplication

from scanlearn.cohort.labels.kept_labels import keep_labels, kept_path, read_kept
from scanlearn.cohort.labels.known_slices import KnownSlices
from scanlearn.errors import BadLabels
from scanlearn.gui.kit.background import (
    Failure,
    Report,
    connect_while_alive,
    in_background,
)
from scanlearn.gui.tasks.segmentation.kept_scans import (
    CohortScans,
    KeptScan,
    as_kept,
    as_painted,
    kept_layer,
)
from scanlearn.gui.viewer.labels_io import Amount, Painted, amount, snapshot
from scanlearn.gui.viewer.layers import KNOWN, LAYER, LayerData, Origin, origin_of
from scanlearn.gui.viewer.new_layers import is_scan
from scanlearn.gui.viewer.truth import TruthTracker

#: So long after a stroke the layer is written: strokes in a row are written once.
SETTLE_MILLISECONDS = 400


@dataclass(frozen=True)
class Kept:
    """What was written: a line of the list, and when."""

    scan: KeptScan | Painted
    amount: Amount
    classes: Mapping[int, str]
    known: KnownSlices
    text: str


class LabelKeeper(QObject):
    """Writes painted layers into the cohort, one file a scan, off the main thread.

    A scan whose labels are kept gets them as a layer when it is shown.
    """

    #: Labels were written, or could not be because the cohort has not that scan.
    kept = Signal(object)
    #: A :class:`Failure`; the layer in napari is as it was.
    failed = Signal(object)

    def __init__(self, tracker: TruthTracker, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.tracker = tracker
        self.viewer = tracker.viewer
        self._scans: CohortScans | None = None
        self._waiting: list[Any] = []
        self._writing: list[Any] = []
        self._lost: list[Any] = []
        self._lock = Lock()
        # Which layer wrote a scan last, and what was there before each began.
        self._last: dict[str, str] = {}
        self._before: dict[str, Painted | None] = {}
        self._looked_at: list[Any] = []
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SETTLE_MILLISECONDS)
        self._timer.timeout.connect(self._write_next)
        tracker.changed.connect(self.note)
        connect_while_alive(self, self.viewer.layers.events.inserted, self._look)
        application = QApplication.instance()
        assert application is not None
        application.aboutToQuit.connect(self.flush)

    @property
    def ready(self) -> bool:
        """Whether it is known which scans the cohort has."""
        return self._scans is not None

    @property
    def unkept(self) -> list[str]:
        """Names of painted layers that no file holds."""
        unkept = [*self._waiting, *self._writing, *self._lost]
        return [one.name for one in self.viewer.layers if one in unkept]

    def show_scans(self, scans: CohortScans | None) -> None:
        """Keep labels in this cohort from now on."""
        self.flush()
        self._scans = scans
        self._last.clear()
        self._looked_at = []
        lost, self._lost = self._lost, []
        for layer in lost:
            self.note(layer)
        self._look()

    def note(self, layer: Any) -> None:
        """Write a layer soon."""
        known = layer.metadata.get(KNOWN)
        if known is None:  # painted on a mask from elsewhere that nobody took yet
            self._lost += [] if layer in self._lost else [layer]
            return
        if known.nothing and LAYER not in layer.metadata:
            return
        if layer not in self._waiting:
            self._waiting.append(layer)
        self._timer.start()

    def keep_now(self, layer: Any) -> None:
        """Write a layer as it is, also one that tells by itself what counts.

        Raises
        ------
        BadLabels
            If the layer belongs to no scan.
        """
        if layer in self._waiting:
            self._waiting.remove(layer)
        self._start(layer, snapshot(layer))

    def flush(self) -> list[str]:
        """Write all that waits, on this thread: napari closes.

        Returns
        -------
        The names of painted layers that no file holds.
        """
        self._timer.stop()
        layers, self._waiting = [*self._waiting, *self._writing], []
        for layer in layers:
            if layer in self.viewer.layers:
                self._write_here(layer)
        return [one.name for one in self.viewer.layers if one in self._lost]

    def _write_here(self, layer: Any) -> None:
        try:
            kept = self._write(snapshot(layer), _token(layer), self._scans)
        except BadLabels:
            return  # nothing of it counts any more: what is kept stays
        except OSError:
            self._lost.append(layer)
            return
        if isinstance(kept.scan, Painted):
            self._lost.append(layer)

    def _write_next(self) -> None:
        if self._waiting and not self._writing:
            layer = self._waiting.pop(0)
            if layer in self.viewer.layers:
                self._start(layer, snapshot(layer))
            else:
                self._write_next()

    def _start(self, layer: Any, painted: Painted) -> None:
        self._writing.append(layer)
        token, scans = _token(layer), self._scans
        in_background(
            self,
            lambda _report: self._write(painted, token, scans),
            done=partial(self._written, layer),
            failed=partial(self._not_written, layer),
        )

    def _write(self, painted: Painted, token: str, scans: CohortScans | None) -> Kept:
        """Write one layer over what is kept of its scan; one at a time, in a thread."""
        with self._lock:
            return self._write_alone(painted, token, scans)

    def _write_alone(
        self, painted: Painted, token: str, scans: CohortScans | None
    ) -> Kept:
        key = scans.key_of(painted.origin) if scans is not None else ""
        told, classes, known = amount(painted), painted.classes, painted.known
        if known is None:
            known = KnownSlices.of_painted(painted.labels, painted.grid)
            painted = painted.with_known(known)
        if scans is None or not key:
            where = scans.cohort.name if scans is not None else "a cohort"
            text = f"⚠ Not saved: the scan is not in {where}"
            return Kept(painted, told, classes, known, text)
        path = kept_path(scans.cohort, key)
        if self._last.get(key) != token:
            self._before[token] = self._other(path, token, painted.origin)
        earlier = self._before[token]
        joined = painted if earlier is None else painted.over(earlier)
        self._last[key] = token
        told = amount(joined)
        keep_labels(scans.cohort, key, as_kept(joined, token, told.values))
        scan = KeptScan(painted.name, painted.origin, scans.cohort, key)
        text = f"Saved {datetime.now():%H:%M:%S} ✓ (every stroke is)"
        return Kept(scan, told, classes, known, text)

    @staticmethod
    def _other(path: Path, token: str, origin: Origin) -> Painted | None:
        """Return what another layer left for the scan."""
        if not path.is_file():
            return None
        kept = read_kept(path)
        return None if kept.facts.layer == token else as_painted(kept, origin)

    def _written(self, layer: Any, kept: Kept) -> None:
        self._writing.remove(layer)
        if layer.metadata.get(KNOWN) is None:  # a mask from elsewhere, now taken
            layer.metadata[KNOWN] = kept.known
        if isinstance(kept.scan, Painted):
            self._lost.append(layer)
        elif layer in self._lost:
            self._lost.remove(layer)
        self.kept.emit(kept)
        self._go_on()

    def _not_written(self, layer: Any, failure: Failure) -> None:
        self._writing.remove(layer)
        if not isinstance(failure.error, BadLabels):
            self._lost.append(layer)
        self.failed.emit(failure)
        self._go_on()

    def _go_on(self) -> None:
        if self._waiting and not self._timer.isActive():
            self._timer.start()

    def _look(self) -> None:
        """Bring the kept labels of scans that were shown since."""
        scans = self._scans
        if scans is None:
            return
        for layer in self.viewer.layers:
            if is_scan(layer) and layer not in self._looked_at:
                self._looked_at.append(layer)
                origin = origin_of(layer)
                assert origin is not None
                in_background(
                    self,
                    partial(_kept_of, scans, origin),
                    done=self._bring,
                    failed=self.failed.emit,
                )

    def _bring(self, layer: LayerData | None) -> None:
        if layer is None:
            return
        data, settings, _kind = layer
        token = settings["metadata"][LAYER]
        if any(one.metadata.get(LAYER) == token for one in self.viewer.layers):
            return
        self.viewer.add_labels(data, **settings)


def _kept_of(scans: CohortScans, origin: Origin, _report: Report) -> LayerData | None:
    kept = scans.kept_of(origin)
    return None if kept is None else kept_layer(kept, origin)


def _token(layer: Any) -> str:
    """Return what tells a layer from others, also when it comes back."""
    found: str = layer.metadata.setdefault(LAYER, secrets.token_hex(8))
    return found
