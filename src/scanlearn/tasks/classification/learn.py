"""How images are learned: a layer on frozen features, or the whole network."""

from __future__ import annotations

from scanlearn.config.run import RunConfig
from scanlearn.engine.fitting import Fit
from scanlearn.engine.recipe import Recipe
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.classification.labelled_images import open_classification
from scanlearn.tasks.classification.learn_frozen import ImageFit
from scanlearn.tasks.classification.learn_full import ImageTraining


def classification_recipe(config: RunConfig, run: RunFolder) -> Recipe | Fit:
    """Return how images are learned: by frozen features or as a whole."""
    opened = open_classification(config, run)
    if opened.card.method == "frozen":
        return ImageFit(config, opened)
    return ImageTraining(config, opened)
