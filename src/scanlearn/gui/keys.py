"""Keys of the Workbench and commands of the manifest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from napari.utils.notifications import show_warning
from qtpy.QtWidgets import QTabWidget

from scanlearn.errors import ScanlearnError
from scanlearn.gui.viewer.new_layers import new_labels

#: Key -> index of the tab it shows.
TAB_KEYS = {f"Control-Alt-{number}": number - 1 for number in range(1, 6)}

NEW_LABELS_KEY = "Control-Alt-L"


def bind_keys(viewer: Any, tabs: QTabWidget, new_layer: Callable[[], None]) -> None:
    """Bind the keys: napari reads those of the manifest, but does not bind them.

    They are free again when the tabs are gone.
    """
    for key, tab in TAB_KEYS.items():
        viewer.bind_key(key, _show_tab(tabs, tab), overwrite=True)
    viewer.bind_key(NEW_LABELS_KEY, lambda _viewer: new_layer(), overwrite=True)
    tabs.destroyed.connect(lambda: _unbind(viewer))


def new_label_layer(viewer: Any = None) -> None:
    """Add an empty label layer over the shown scan, as a command of napari's menu."""
    import napari

    viewer = viewer or napari.current_viewer()
    try:
        new_labels(viewer, {1: "class 1"})
    except ScanlearnError as error:
        show_warning(str(error))


def _show_tab(tabs: QTabWidget, tab: int) -> Any:
    def show(_viewer: object) -> None:
        tabs.setCurrentIndex(tab)

    return show


def _unbind(viewer: Any) -> None:
    for key in (*TAB_KEYS, NEW_LABELS_KEY):
        viewer.bind_key(key, None, overwrite=True)
