"""Which recipe a configuration names. A new method adds one line here."""

from __future__ import annotations

from collections.abc import Callable

from scanlearn.config.run import RunConfig
from scanlearn.engine.fitting import Fit
from scanlearn.engine.recipe import Recipe
from scanlearn.pretrain.drasclr.recipe import Drasclr
from scanlearn.pretrain.joint.recipe import Joint
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.registry import task_of

Maker = Callable[[RunConfig, RunFolder], Recipe]

#: Of pre-trainings; those of fine-tunings are in :mod:`scanlearn.tasks.registry`.
RECIPES: dict[str, Maker] = {
    "drasclr": lambda config, run: Drasclr(config),
    "joint": lambda config, run: Joint(config),
}


def make_recipe(config: RunConfig, run: RunFolder) -> Recipe | Fit:
    """Build the recipe of a run from its configuration and its inputs."""
    if config.kind == "pretrain":
        return RECIPES[config.recipe.name](config, run)
    recipe: Recipe | Fit = task_of(config).part("recipe")(config, run)
    return recipe
