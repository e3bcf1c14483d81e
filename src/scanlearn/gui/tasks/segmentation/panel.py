"""Labels of segmentation: classes, painted layers, a folder of masks."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QTimer
from qtpy.QtGui import QShowEvent
from qtpy.QtWidgets import QFileDialog, QVBoxLayout, QWidget

from scanlearn.cohort.labels.kept_labels import KeptFacts
from scanlearn.gui.class_counts import ClassCounts
from scanlearn.gui.kit.background import in_background
from scanlearn.gui.kit.widgets import button, gate, heading, hint, row
from scanlearn.gui.shared.session import remember_of, remembered_of
from scanlearn.gui.tasks.segmentation.close_guard import CloseGuard
from scanlearn.gui.tasks.segmentation.keeper import Kept, LabelKeeper
from scanlearn.gui.tasks.segmentation.kept_scans import CohortScans, KeptScan
from scanlearn.gui.tasks.segmentation.next_scan import NextScan
from scanlearn.gui.tasks.segmentation.tools_section import ToolsSection
from scanlearn.gui.tasks.segmentation.truth_section import TruthSection
from scanlearn.gui.tasks.shared.class_table import ClassTable
from scanlearn.gui.tasks.shared.label_panel import LabelPanel
from scanlearn.gui.tasks.shared.labelled_list import LabelledList, Source
from scanlearn.gui.tasks.shared.scan_keys import scan_key_of
from scanlearn.gui.viewer.labels_io import Amount, Painted, write_truth
from scanlearn.gui.viewer.new_layers import (
    chosen_labels,
    new_labels,
    recolour,
    shown_scan,
)
from scanlearn.gui.viewer.truth import TruthTracker
from scanlearn.tasks.shared.known_in_part import note_known_in_part

if TYPE_CHECKING:
    from scanlearn.cohort.catalogue import Cohort
    from scanlearn.tasks.shared.label_set import LabelSet

_PAINT = (
    "Paint a few slices of a few scans, or correct a prediction. Slices you touched or "
    "ticked count; all others are unknown, not background."
)

#: Classes are counted after so long a rest.
_REST_MILLISECONDS = 600

#: A cohort's scans, and those of them that have labels.
Opened = tuple[CohortScans, list[tuple[KeptScan, Amount, KeptFacts]]]


@dataclass(frozen=True)
class PaintedLabels:
    """Painted layers, or a folder of masks where there are none."""

    classes: Mapping[int, str]
    painted: tuple[Painted | KeptScan, ...]
    masks: Path | None

    def changes(self) -> dict[str, Any]:
        """Return the classes of the dock; none where the masks' own count."""
        named = [{"value": v, "name": n} for v, n in sorted(self.classes.items())]
        return {"recipe": {"classes": named}}

    def source(self, cohort: Cohort, draft: Path) -> Path:
        """Write painted layers as masks named by scan keys."""
        in_part = []
        for drawn in self.painted:
            key = scan_key_of(drawn.origin, drawn.name, cohort)
            mask = f"{key}.nii.gz"
            painted = drawn.read() if isinstance(drawn, KeptScan) else drawn
            if write_truth(draft / mask, painted):
                in_part.append(mask)
        if self.painted:
            note_known_in_part(draft, in_part)
            return draft
        assert self.masks is not None
        return self.masks


def _is_kept(source: Source) -> bool:
    return isinstance(source, tuple) and isinstance(source[0], KeptScan)


def _opened(cohort: Path) -> Opened:
    scans = CohortScans(cohort)
    return scans, scans.kept()


def counted(labels: PaintedLabels, cohort: Path) -> LabelSet:
    """Find labels as a training will, but whatever scan they refer to; slow.

    Raises
    ------
    BadLabels
        If they do not fit the cohort.
    """
    from scanlearn.cohort.catalogue import Cohort
    from scanlearn.tasks.shared.label_maps import collect_labels

    opened, known = Cohort(cohort), labels.classes or None
    with tempfile.TemporaryDirectory(prefix="scanlearn-labels-") as draft:
        source = labels.source(opened, Path(draft))
        return collect_labels(source, opened, known=known, ignore_reference=True)


class PaintedPanel(LabelPanel):
    """Classes, labelled scans, and the buttons that add to them."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.classes = ClassTable()
        self.labels = LabelledList()
        self.counts = ClassCounts()
        self.tracker = TruthTracker(viewer, self)
        self.truth = TruthSection(self.tracker)
        self.tools = ToolsSection(self.tracker, lambda: self.truth.layer)
        self.keeper = LabelKeeper(self.tracker, self)
        self.guard = CloseGuard(self.keeper, self)
        self.next = NextScan(viewer, "segmentation", self._labelled_keys)
        self._counting = QTimer(self)
        self._counting.setSingleShot(True)
        self._counting.setInterval(_REST_MILLISECONDS)
        self._counting.timeout.connect(self._count)
        self._cohort: Path | None = None
        self._cancel: Callable[[], None] = lambda: None
        self.new_button = button(
            "New label layer", self.new_layer, "An empty layer on the shown scan's grid"
        )
        self.use_button = button(
            "Use this layer", self.use_layer, "Take the selected Labels layer as it is"
        )
        self.browse_button = button(
            "Browse…", self.browse, "A folder of masks or of DICOM files of labels"
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            heading("Classes"),
            self.classes,
            heading("Labelled scans"),
            hint(_PAINT),
            self.labels,
            row(self.new_button, self.use_button, self.browse_button),
            self.truth,
            self.tools,
            self.next,
            self.counts,
        ):
            layout.addWidget(widget)
        self.classes.changed.connect(self._classes_changed)
        self.labels.changed.connect(self.changed)
        # Counting reads all labels: not at every stroke.
        self.labels.changed.connect(self._counting.start)
        self.labels.updated.connect(self._counting.start)
        self.labels.changed.connect(self._remember)
        self.classes.changed.connect(self._remember)
        self.keeper.kept.connect(self._kept)
        self.keeper.failed.connect(self.failed)
        self.next.failed.connect(self.failed)
        self.tools.failed.connect(self.failed)

    def showEvent(self, event: QShowEvent | None) -> None:
        """Watch the window that the dock is now in."""
        super().showEvent(event)
        self.guard.watch(self.window())

    def new_layer(self) -> None:
        """Add an empty label layer over the shown scan, ready to paint."""
        self.attempt(lambda: new_labels(self.viewer, self.classes.classes()))

    def use_layer(self) -> None:
        """Take the chosen Labels layer into the list of labelled scans."""
        self.attempt(self._use_layer)

    def browse(self) -> None:
        """Let the user choose a folder of masks."""
        chosen = QFileDialog.getExistingDirectory(self, "Folder of masks")
        if chosen:
            self.labels.add(Path(chosen))

    def show_cohort(self, cohort: Path | None) -> None:
        """Count the classes anew: labels belong to scans of the cohort."""
        if cohort == self._cohort:
            return
        self._cohort = cohort
        self.keeper.show_scans(None)
        self._count()
        if cohort is not None:
            in_background(
                self,
                lambda _report: _opened(cohort),
                done=self._restore,
                failed=self.failed.emit,
            )

    def refresh(self) -> None:
        """Look again at the viewer's layers."""
        no_scan = "" if shown_scan(self.viewer) else "Add a scan to the viewer first"
        gate(self.new_button, no_scan)
        none = "" if chosen_labels(self.viewer) else "Press 'New label layer' and paint"
        gate(self.use_button, none)
        self.truth.refresh()
        self.tools.refresh()
        self.next.refresh()

    def missing(self) -> str:
        """Say that labels are needed."""
        if self.labels.sources:
            return self.labels.clash()
        return "Add labels first: 'Use this layer' or 'Browse…'"

    def labelled(self) -> int | None:
        """Return how many scans were painted on, or how many masks a folder has."""
        return self.labels.scans()

    def gathered(self) -> PaintedLabels:
        """Return the labels as they are now."""
        painted = tuple(self.labels.painted())
        return PaintedLabels(self._classes(), painted, self.labels.folder())

    def _use_layer(self) -> None:
        layer = chosen_labels(self.viewer)
        assert layer is not None
        self.keeper.keep_now(layer)

    def _kept(self, kept: Kept) -> None:
        """List a layer that was written."""
        self.classes.include(kept.amount.values, kept.classes)
        self.truth.saved.setText(kept.text)
        self.labels.add((kept.scan, kept.amount))

    def _labelled_keys(self) -> set[str]:
        return {one.key for one in self.labels.painted() if isinstance(one, KeptScan)}

    def _restore(self, opened: Opened) -> None:
        """List what the cohort keeps, and keep what is painted there from now on."""
        scans, kept = opened
        if scans.cohort != self._cohort:
            return  # another was chosen meanwhile
        before = remembered_of(scans.cohort)
        names = {int(v): str(n) for v, n in before.get("classes", {}).items()}
        self.classes.include(tuple(names), names)
        for _, told, facts in kept:
            self.classes.include(told.values, facts.classes)
        others = [one for one in self.labels.sources if not _is_kept(one)]
        masks = Path(before.get("masks") or scans.cohort / "none")
        if masks.exists() and self.labels.folder() is None:
            others.append(masks)
        self.labels.show_sources([*((scan, told) for scan, told, _ in kept), *others])
        self.keeper.show_scans(scans)

    def _remember(self) -> None:
        """Note what no file of the cohort says."""
        if self._cohort is None or not self.keeper.ready:
            return
        named = {
            str(value): field.text().strip()
            for value, field in self.classes.names.items()
        }
        masks = self.labels.folder()
        remember_of(self._cohort, classes=named, masks=str(masks or ""))

    def _count(self) -> None:
        """Count files and voxels of each class in the background."""
        self._cancel()
        cohort, labels = self._cohort, self.gathered()
        if cohort is None or not self.labels.sources:
            self.counts.clear()
            return
        self.counts.show_text("Counting classes, files and voxels…")
        self._cancel = in_background(
            self,
            lambda _report: counted(labels, cohort),
            done=self.counts.show_labels,
            failed=lambda failure: self.counts.show_text(str(failure.error)),
        )

    def _classes(self) -> dict[int, str]:
        """Return the classes; none, so that the masks' own count, if none is named."""
        untouched = not any(
            field.text().strip() for field in self.classes.names.values()
        )
        return {} if untouched and self.labels.folder() else self.classes.classes()

    def _classes_changed(self) -> None:
        recolour(self.viewer, self.classes.classes())
        self.changed.emit()
