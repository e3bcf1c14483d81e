"""Which task has which part in the docks.

Another package names a :class:`scanlearn.gui.tasks.dock_task.DockTask` for its task
with an entry point in the group ``scanlearn.docks``, called as the task is; without one
the plain part serves.
"""

from __future__ import annotations

from functools import cache

from scanlearn.gui.tasks.classification import ClassificationDock
from scanlearn.gui.tasks.detection import DetectionDock
from scanlearn.gui.tasks.dock_task import DockTask
from scanlearn.gui.tasks.outcome import OutcomeDock
from scanlearn.gui.tasks.plain import PlainDock
from scanlearn.gui.tasks.segmentation import SegmentationDock
from scanlearn.gui.tasks.texture import TextureDock
from scanlearn.plugins import brought_named

_OWN: dict[str, DockTask] = {
    "segmentation": SegmentationDock(),
    "detection": DetectionDock(),
    "texture": TextureDock(),
    "classification": ClassificationDock(),
    "outcome": OutcomeDock(),
}


@cache
def dock_task(name: str) -> DockTask:
    """Return the part of a task in the docks."""
    if name in _OWN:
        return _OWN[name]
    brought: dict[str, DockTask] = brought_named("scanlearn.docks", DockTask)
    return brought.get(name, PlainDock())
