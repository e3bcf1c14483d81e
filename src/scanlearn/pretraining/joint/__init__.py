"""Joint 2D/3D pre-training (Nguyen et al., AAAI 2023).

Here stands what the method is; ``recipe.py`` is what is trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scanlearn.config.joint import JointConfig
from scanlearn.config.offer import Offer
from scanlearn.config.run import merge
from scanlearn.pretraining.joint.presets import PRESETS, SWAV
from scanlearn.pretraining.method import Method

if TYPE_CHECKING:
    from scanlearn.config.run import RunConfig
    from scanlearn.engine.recipe import Recipe
    from scanlearn.runs.folder import RunFolder


class _JointOffer(Offer):
    """SwAV's presets have its authors' crops."""

    def preset(self, name: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Return the settings of a preset with a user's changes laid over it."""
        found = super().preset(name, changes)
        if found["recipe"].get("clustering") != "swav":
            return found
        return merge(merge(found, SWAV.get(found["preset"], {})), changes)


class JointMethod(Method):
    """Clusters slices, images and whole volumes together."""

    offer: Offer = _JointOffer(
        title="Joint image-volume",
        about="choose for MR, radiographs, whole slices or several kinds of scans at "
        "once",
        short="joint",
        config=JointConfig,
        presets=PRESETS,
        settings=(
            "recipe.clustering",
            "engine.passes",
            "engine.steps",
            "engine.minutes",
            "recipe.batch",
            "recipe.volume_batch",
            "engine.seed",
        ),
    )
    can_start = True

    def check(self, config: RunConfig) -> None:
        """See that the cohorts hold images or volumes that can be clustered."""
        from scanlearn.cohort.slices import slice_cohorts

        slice_cohorts(config.cohorts, config.section(JointConfig))

    def steps_a_pass(self, config: RunConfig) -> float:
        """Return the batches that hold each image once, in stages that see images."""
        from scanlearn.cohort.slices import slice_cohorts

        settings = config.section(JointConfig)
        found, stages = slice_cohorts(config.cohorts, settings), settings.stages
        images, share = len(found.images), 1.0
        if len(found.volumes) > 1:
            seen = stages.warm + stages.joint * (settings.intra > 0)
            share = seen / (stages.warm + stages.mask + stages.joint) or 1.0
        return max(1, images // min(settings.batch, images)) / share

    def learn(self, config: RunConfig, run: RunFolder) -> Recipe:
        """Build the three stages."""
        from scanlearn.pretraining.joint.recipe import Joint

        return Joint(config)
