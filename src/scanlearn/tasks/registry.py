"""Which tasks there are: those of this package, and those that others bring.

The doors look a task up here and hand it down; no room below them does. Another package
adds its own with an entry point in the group ``scanlearn.tasks`` that names a class or
an instance of :class:`scanlearn.tasks.task.Task` (docs/adding.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from scanlearn.config.run import RunConfig
from scanlearn.errors import BadConfig, BadRun
from scanlearn.plugins import with_brought
from scanlearn.tasks.classification import ClassificationTask
from scanlearn.tasks.detection import DetectionTask
from scanlearn.tasks.outcome import OutcomeTask
from scanlearn.tasks.segmentation import SegmentationTask
from scanlearn.tasks.task import Task
from scanlearn.tasks.texture import TextureTask


@cache
def all_tasks() -> Mapping[str, Task]:
    """Return the tasks by name, in the order in which they are offered."""
    own: list[Task] = [
        SegmentationTask(),
        DetectionTask(),
        TextureTask(),
        ClassificationTask(),
        OutcomeTask(),
    ]
    return with_brought(own, "scanlearn.tasks", Task)


def task_named(name: str) -> Task:
    """Return a task, or say which there are."""
    found = all_tasks().get(name)
    if found is None:
        raise BadConfig(
            f"There is no task '{name}'",
            expected=", ".join(all_tasks()),
            next_step="Choose one of these",
        )
    return found


def task_of(config: RunConfig) -> Task:
    """Return the task of a fine-tuning.

    Raises
    ------
    BadRun
        If it is a pre-training.
    """
    name = config.recipe.name
    found = all_tasks().get(name)
    if found is None:
        raise BadRun(
            f"This is a pre-training ({name}), which learned no task",
            expected="a run made by 'scanlearn finetune'",
            next_step="Fine-tune from it first",
        )
    return found
