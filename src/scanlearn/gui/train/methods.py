"""What can be chosen in the docks: pre-training methods and fine-tuning tasks."""

from __future__ import annotations

from dataclasses import dataclass

from scanlearn.config.base import Frozen
from scanlearn.config.drasclr import DrasclrConfig
from scanlearn.config.joint import JointConfig
from scanlearn.tasks import registry as tasks


@dataclass(frozen=True)
class Recipe:
    """One entry of a choice, and which of its settings the dock offers."""

    title: str
    about: str
    model: type[Frozen]
    settings: tuple[str, ...]


#: Name of the recipe in the configuration -> how it is offered. A new method is a line.
METHODS = {
    "drasclr": Recipe(
        "DrasCLR",
        "choose for CT of one organ with subtle, local disease",
        DrasclrConfig,
        (
            "engine.steps",
            "engine.minutes",
            "recipe.spacing_mm",
            "recipe.batch",
            "recipe.landmarks.atlas",
            "engine.seed",
        ),
    ),
    "joint": Recipe(
        "Joint image-volume",
        "choose for MR, radiographs, whole slices or several kinds of scans at once",
        JointConfig,
        (
            "recipe.clustering",
            "engine.steps",
            "engine.minutes",
            "recipe.batch",
            "recipe.volume_batch",
            "engine.seed",
        ),
    ),
}

#: The same of the tasks, whose manifest is :mod:`scanlearn.tasks.registry`.
TASKS = {
    name: Recipe(task.title, task.about, task.config, task.settings)
    for name, task in tasks.TASKS.items()
}

#: What each preset is for.
PRESETS_ABOUT = {
    "quick": "minutes on a laptop: to try things out",
    "mr": "minutes on a laptop: MR of one structure, at the cohort's voxel size",
    "standard": "one GPU, some hours: the usual choice",
    "paper": "the published numbers: days on a large GPU",
}
