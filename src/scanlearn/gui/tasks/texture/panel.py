"""Labels of texture: points and painted regions of classes, or a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Labels, Layer, Points
from qtpy.QtWidgets import QFileDialog, QLabel, QVBoxLayout, QWidget

from scanlearn.errors import BadLabels
from scanlearn.gui.kit.widgets import (
    TABLE_FILES,
    button,
    gate,
    heading,
    hint,
    row,
    shortened,
)
from scanlearn.gui.tasks.shared.class_table import ClassTable
from scanlearn.gui.tasks.shared.label_panel import LabelPanel
from scanlearn.gui.tasks.shared.scan_keys import scan_key_of
from scanlearn.gui.viewer.labels_io import Painted, snapshot, write_labels
from scanlearn.gui.viewer.layers import CLASSES, Origin, origin_of
from scanlearn.gui.viewer.new_layers import new_labels, new_points, recolour, shown_scan
from scanlearn.scans.geometry import world_to_patient

if TYPE_CHECKING:
    from scanlearn.cohort.catalogue import Cohort

_MARK = (
    "Click points or paint small regions of each class, normal lung too. A few of each "
    "on a few patients are enough to begin."
)


#: What a user who maps emphysema begins with; those without places are left out.
_CLASSES = {1: "normal", 2: "centrilobular", 3: "paraseptal", 4: "panlobular"}


@dataclass(frozen=True, eq=False)
class Marked:
    """The points of a layer: LPS millimetres and class values."""

    name: str
    origin: Origin
    points: np.ndarray[Any, Any]
    values: tuple[int, ...]


@dataclass(frozen=True)
class MarkedPlaces:
    """Points and painted layers, or a table where there are none."""

    classes: Mapping[int, str]
    marked: tuple[Marked, ...]
    painted: tuple[Painted, ...]
    table: Path | None

    def changes(self) -> dict[str, Any]:
        """Return the classes; none where the table's own count."""
        if not self.marked and not self.painted:
            return {}
        named = [{"value": v, "name": n} for v, n in sorted(self.classes.items())]
        return {"recipe": {"classes": named}}

    def source(self, cohort: Cohort, draft: Path) -> Path:
        """Write points and regions as places of the cohort's scans."""
        if not self.marked and not self.painted:
            assert self.table is not None
            return self.table
        from scanlearn.config.texture import TextureConfig
        from scanlearn.tasks.texture.labels import Place, PlaceSet, collect_places

        keys: dict[str, str] = {}
        places: list[Place] = []
        for layer in self.marked:
            key = scan_key_of(layer.origin, layer.name, cohort)
            patient = keys.setdefault(key, cohort.record(key).patient)
            for value, (x, y, z) in zip(
                layer.values, layer.points.tolist(), strict=True
            ):
                places.append(Place(key, patient, value, (x, y, z)))
        for painted in self.painted:
            key = scan_key_of(painted.origin, painted.name, cohort)
            write_labels(draft / "masks" / f"{key}.nii.gz", painted)
        if self.painted:
            config = TextureConfig.model_validate(self.changes()["recipe"])
            places += collect_places(draft / "masks", cohort, config, fewest=1).places
        used = {place.label for place in places}
        names = {v: n for v, n in self.classes.items() if v in used}
        PlaceSet(tuple(places), names).save(draft)
        return draft


class PlacesPanel(LabelPanel):
    """Classes, what is marked, and the buttons that add to it."""

    def __init__(self, viewer: Any, parent: QWidget | None = None) -> None:
        super().__init__(viewer, parent)
        self.classes = ClassTable()
        self.classes.show_classes(_CLASSES)
        self.table: Path | None = None
        self.amount = QLabel()
        self.amount.setWordWrap(True)
        self.points_button = button(
            "New points", self.new_layer, "Click places; keys 1 to 9 choose the class"
        )
        self.regions_button = button(
            "New label layer", self.new_regions, "Paint regions of the classes"
        )
        self.browse_button = button(
            "Table…",
            self.browse,
            "CSV with path, label and x, y, z (LPS mm) or patches",
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for widget in (
            heading("Classes"),
            self.classes,
            heading("Labelled places"),
            hint(_MARK),
            self.amount,
            row(self.points_button, self.regions_button, self.browse_button),
        ):
            layout.addWidget(widget)
        self.classes.changed.connect(self._classes_changed)

    def new_layer(self) -> None:
        """Add an empty Points layer over the shown scan, ready to click."""
        self.attempt(lambda: self._watch(new_points(self.viewer, self._names())))

    def new_regions(self) -> None:
        """Add an empty Labels layer over the shown scan, ready to paint."""
        self.attempt(lambda: self._watch(new_labels(self.viewer, self._names())))

    def browse(self) -> None:
        """Let the user choose a table."""
        chosen, _ = QFileDialog.getOpenFileName(
            self, "Table of places", filter=TABLE_FILES
        )
        if chosen:
            self.table = Path(chosen)
            self.changed.emit()

    def refresh(self) -> None:
        """Count what is marked."""
        no_scan = "" if shown_scan(self.viewer) else "Add a scan to the viewer first"
        for one in (self.points_button, self.regions_button):
            gate(one, no_scan)
        self.amount.setText(self._told())

    def missing(self) -> str:
        """Say that two classes are needed."""
        if self.table is not None or len(self._used()) >= 2:
            return ""
        return "Mark places of at least two classes, or choose a table"

    def gathered(self) -> MarkedPlaces:
        """Return the labels as they are now; layers count before the table."""
        marked = tuple(_marked(layer) for layer in self._points() if len(layer.data))
        regions = [layer for layer in self._regions() if np.any(layer.data)]
        painted = tuple(snapshot(layer) for layer in regions)
        return MarkedPlaces(self._names(), marked, painted, self.table)

    def _told(self) -> str:
        points = [layer for layer in self._points() if len(layer.data)]
        regions = [layer for layer in self._regions() if np.any(layer.data)]
        if not points and not regions:
            name = shortened(self.table.name, 30) if self.table else "none yet"
            return f"Table: {name}" if self.table else name
        counts: dict[int, int] = dict.fromkeys(self._names(), 0)
        for layer in points:
            for value in _values(layer):
                counts[value] = counts.get(value, 0) + 1
        names = self._names()
        each = ", ".join(f"{names[v]} {n}" for v, n in counts.items() if v in names)
        scans = {_scan_of(layer) for layer in (*points, *regions)}
        text = f"Points: {each}" if points else ""
        if regions:
            noun = "layer" if len(regions) == 1 else "layers"
            text += f"{' · ' if text else ''}{len(regions)} {noun} of regions"
        text = f"{text} · {len(scans)} {'scan' if len(scans) == 1 else 'scans'}"
        if self.table is not None:
            text += f"\n{shortened(self.table.name, 30)} is not used: layers are marked"
        return text

    def _used(self) -> set[int]:
        used = {value for layer in self._points() for value in _values(layer)}
        for layer in self._regions():
            used |= set(np.unique(layer.data).tolist()) - {0}
        return used

    def _points(self) -> list[Any]:
        return [one for one in self.viewer.layers if _is_mine(one, Points)]

    def _regions(self) -> list[Any]:
        return [one for one in self.viewer.layers if _is_mine(one, Labels)]

    def _names(self) -> dict[int, str]:
        return self.classes.classes()

    def _watch(self, layer: Any) -> None:
        layer.events.data.connect(lambda _event=None: self.changed.emit())

    def _classes_changed(self) -> None:
        recolour(self.viewer, self._names())
        self.changed.emit()


def _is_mine(layer: Any, kind: type[Layer]) -> bool:
    return (
        isinstance(layer, kind)
        and CLASSES in layer.metadata
        and origin_of(layer) is not None
        and layer.ndim == 3
        and layer.name.endswith(("mine (labels)", "mine (points)"))
    )


def _scan_of(layer: Any) -> tuple[Path, str, int | None]:
    origin = origin_of(layer)
    assert origin is not None
    return origin.source, origin.series, origin.volume


def _values(layer: Any) -> list[int]:
    return [int(value) for value in layer.features["value"]]


def _marked(layer: Any) -> Marked:
    origin = origin_of(layer)
    if origin is None:
        raise BadLabels(f"The layer '{layer.name}' is not tied to a scan")
    world = [layer.data_to_world(point) for point in np.asarray(layer.data)]
    points = np.array([world_to_patient(point) for point in world])
    return Marked(layer.name, origin, points, tuple(_values(layer)))
