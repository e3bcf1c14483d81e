"""Patch mean: an encoder learns to tell the mean of a patch."""

from scanlearn.config.engine import OptimiserConfig
from scanlearn.config.offer import Offer
from scanlearn.config.recipe import RecipeConfig
from scanlearn.pretraining.method import Method


class PatchMeanConfig(RecipeConfig):
    """Settings; ``name`` is what commands and files call the method."""

    name: str = "patch-mean"
    batch: int = 8
    optimiser: OptimiserConfig = OptimiserConfig(learning_rate=1e-3)


class PatchMeanMethod(Method):
    """What the commands and the docks ask for; torch waits in ``recipe.py``."""

    offer = Offer(
        title="Patch mean",
        about="an example: learns the mean intensity of patches",
        short="patch mean",
        config=PatchMeanConfig,
        presets={"quick": {"engine": {"steps": 100, "save_every": 50}}},
        settings=("engine.steps", "recipe.batch"),
    )

    def check(self, config):
        from scanlearn.cohort.working import WorkingCohorts

        WorkingCohorts(config.cohorts, None)  # refuses cohorts without volumes

    def learn(self, config, run):
        from scanlearn_example.patch_mean.recipe import PatchMean

        return PatchMean(config)
