"""How a texture is learned: on frozen features, or with the encoder."""

from __future__ import annotations

from scanlearn.config.run import RunConfig
from scanlearn.config.texture import TextureConfig
from scanlearn.engine.fitting import Fit
from scanlearn.engine.recipe import Recipe
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.texture.learn_frozen import TextureFit
from scanlearn.tasks.texture.learn_full import TextureTraining


def texture_recipe(config: RunConfig, run: RunFolder) -> Recipe | Fit:
    """Return how a texture is learned: by frozen features, unless asked otherwise."""
    if config.section(TextureConfig).method == "full":
        return TextureTraining(config, run)
    return TextureFit(config, run)
