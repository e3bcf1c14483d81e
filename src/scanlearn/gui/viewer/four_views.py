"""Axial, coronal, sagittal and 3D of the same scan beside each other, linked.

napari has one canvas a viewer: the other three are viewer models of their own in
napari's Qt widget, laid around the canvas that is there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from napari.components import ViewerModel
from napari.qt import QtViewer
from qtpy.QtCore import QEvent, QObject, QTimer
from qtpy.QtWidgets import QHBoxLayout, QMainWindow, QVBoxLayout, QWidget

from scanlearn.gui.viewer.crosshair import Crosshair, draws_in_software
from scanlearn.gui.viewer.linked_layers import LinkedLayers
from scanlearn.gui.viewer.orientation import show_orientation, show_view
from scanlearn.gui.viewer.status_line import status_of

#: 3D contrast is of its own: see :mod:`scanlearn.gui.viewer.volume_view`.
_OWN_IN_3D = ("contrast_limits", "contrast_limits_range")


_SETTLED_MILLISECONDS = 150

#: A volume takes longer to draw than a slice.
_REST_MILLISECONDS = 400


def four_views_of(window: QWidget | None) -> FourViews | None:
    """Return the four views that a window shows now; None for one view."""
    found = window.findChildren(FourViews) if window is not None else []
    return next((one for one in found if not one.ended), None)


class FourViews(QObject):
    """Shows a viewer in four views until it is ended.

    A click in one of the others, or Shift and moving the mouse in the first, takes all
    views to that place.

    Parameters
    ----------
    viewer
        The napari viewer.
    window
        Its main window.
    """

    def __init__(self, viewer: Any, window: QMainWindow) -> None:
        super().__init__(window)
        self._viewer = viewer
        show_orientation(viewer)
        show_view(viewer, "Axial")
        central = window.centralWidget()
        assert central is not None
        layout = central.layout()
        assert isinstance(layout, QHBoxLayout)
        self._layout: QHBoxLayout = layout
        first = layout.itemAt(0)
        assert first is not None
        main: Any = first.widget()
        self._main = main
        self.others = [_View(viewer, name, central) for name in ("Coronal", "Sagittal")]
        self.others.append(_View(viewer, "3D", central))
        for model in (viewer, *(view.model for view in self.others)):
            # In a corner of a small canvas the bar would lie over the letter.
            _scale_bar(model).position = "bottom_center"
        self._arrange()
        self._crosshair = Crosshair(self._main.canvas, viewer)
        viewer.mouse_move_callbacks.append(_lead)
        viewer.dims.events.point.connect(self._follow)
        self._main.installEventFilter(self)
        self.ended = False
        self._follow()
        # Once the canvases have the size that they are given.
        settled = QTimer(self)
        settled.setSingleShot(True)
        settled.timeout.connect(self._fit)
        settled.start(_SETTLED_MILLISECONDS)

    def _arrange(self) -> None:
        """Lay the canvas that is there and the others in two columns."""
        coronal, sagittal, deep = self.others
        self._layout.removeWidget(self._main)
        self._columns = (QVBoxLayout(), QVBoxLayout())
        for column, widgets in zip(
            self._columns, ((self._main, sagittal), (coronal, deep)), strict=True
        ):
            for widget in widgets:
                column.addWidget(widget, 1)
            self._layout.addLayout(column, 1)

    def end(self) -> None:
        """Leave the one canvas that was there."""
        if self.ended:
            return
        self.ended = True
        self._main.removeEventFilter(self)
        self._viewer.dims.events.point.disconnect(self._follow)
        self._viewer.mouse_move_callbacks.remove(_lead)
        self._crosshair.end()
        _scale_bar(self._viewer).position = "bottom_right"
        for view in self.others:
            view.end()
        for column in self._columns:
            self._layout.removeItem(column)
            column.removeWidget(self._main)
        self._layout.addWidget(self._main)
        self.deleteLater()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """End before the canvas that was there is closed with its window."""
        if event is not None and event.type() == QEvent.Type.Close:
            self.end()
        return False

    def _fit(self) -> None:
        if self.ended:
            return
        self._viewer.reset_view()
        for view in self.others:
            view.fit()

    def _follow(self, _event: object = None) -> None:
        for view in self.others:
            view.go_to(self._viewer.dims.point)


class _View(QWidget):
    """One more canvas: a viewer model with the layers of the viewer."""

    def __init__(self, viewer: Any, name: str, parent: QWidget) -> None:
        super().__init__(parent)
        self._viewer = viewer
        self._wanted: tuple[float, ...] = ()
        self._deep = deep = name == "3D"
        self._stays = False
        self.model = ViewerModel(title=name)
        self.canvas = QtViewer(self.model, show_welcome_screen=False)
        self.canvas.dims.hide()  # the crosshair moves the slices
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.canvas)
        own = _OWN_IN_3D if deep else ()
        self._links = LinkedLayers(viewer, self.model, self, leave_out=own)
        show_orientation(self.model)
        self._rests = QTimer(self)
        self._rests.setSingleShot(True)
        self._rests.setInterval(_REST_MILLISECONDS if deep else 0)
        self._rests.timeout.connect(self._go)
        if deep:
            self.model.dims.ndisplay = 3
        else:
            show_view(self.model, name)
            self.model.mouse_drag_callbacks.append(self._lead)
        self._crosshair = Crosshair(self.canvas.canvas, self.model)
        self.model.cursor.events.position.connect(self._tell)

    def fit(self) -> None:
        """Show the whole scan, from where one looks."""
        self.model.reset_view(reset_camera_angle=False)
        if self._deep and draws_in_software(self.canvas.canvas):
            self._stays = True
            self._crosshair.end()

    def go_to(self, point: tuple[float, ...]) -> None:
        """Show the slice of a place; in 3D its lines, once it rests."""
        if self._stays:
            return
        self._wanted = point
        if self._rests.interval():
            self._rests.start()
        else:
            self._go()

    def _go(self) -> None:
        if self.model.dims.ndim == len(self._wanted):
            self.model.dims.point = self._wanted

    def end(self) -> None:
        """Close the canvas."""
        self._rests.stop()
        self._links.end()
        if not self._stays:
            self._crosshair.end()
        self.model.mouse_drag_callbacks.clear()  # else they would keep this alive
        self.hide()
        self.canvas.close()
        self.deleteLater()

    def _lead(self, _model: Any, event: Any) -> Iterator[None]:
        """Take all views to the place under the mouse."""
        if event.button != 1:
            return
        camera = self.model.scene.camera
        panned, camera.mouse_pan = camera.mouse_pan, False
        try:
            while event.type in ("mouse_press", "mouse_move"):
                self._viewer.dims.point = tuple(event.position)
                yield
        finally:
            camera.mouse_pan = panned

    def _tell(self, _event: object = None) -> None:
        """Say in the one status bar what lies under the mouse here."""
        self._viewer.cursor.position = self.model.cursor.position
        self._viewer.status = status_of(self._viewer) or self._viewer.status


def _lead(viewer: Any, event: Any) -> None:
    """Take all views to the place under the mouse while Shift is held."""
    if "Shift" in event.modifiers and viewer.dims.ndisplay == 2:
        viewer.dims.point = tuple(event.position)


def _scale_bar(viewer: Any) -> Any:
    return viewer.canvas.overlays["scale_bar"]
