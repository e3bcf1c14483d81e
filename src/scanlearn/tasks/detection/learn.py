"""Which network learns a detection: by its labels."""

from __future__ import annotations

from scanlearn.config.run import RunConfig
from scanlearn.engine.recipe import Recipe
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.detection.finding_set import kind_in
from scanlearn.tasks.detection.learn_boxes import BoxDetection
from scanlearn.tasks.detection.learn_spheres import Detection


def detection_recipe(config: RunConfig, run: RunFolder) -> Recipe:
    """Make the recipe: boxes on radiographs, else spheres in volumes."""
    if kind_in(run.inputs) == "boxes":
        return BoxDetection(config, run)
    return Detection(config, run)
