"""Which recipe a configuration names. A new recipe adds one line here."""

from __future__ import annotations

from collections.abc import Callable

from scanlearn.config.run import RunConfig
from scanlearn.engine.recipe import Recipe
from scanlearn.recipes.finetune.segmentation import Segmentation
from scanlearn.recipes.pretrain.drasclr import Drasclr
from scanlearn.recipes.pretrain.joint import Joint
from scanlearn.runs.folder import RunFolder

Maker = Callable[[RunConfig, RunFolder], Recipe]

RECIPES: dict[str, Maker] = {
    "drasclr": lambda config, run: Drasclr(config),
    "joint": lambda config, run: Joint(config),
    "segmentation": Segmentation,
}


def make_recipe(config: RunConfig, run: RunFolder) -> Recipe:
    """Build the recipe of a run from its configuration and its inputs."""
    return RECIPES[config.recipe.name](config, run)
