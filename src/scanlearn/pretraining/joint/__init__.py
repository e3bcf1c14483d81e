"""Joint 2D/3D pre-training (Nguyen et al., AAAI 2023).

Here stands what the method is; ``recipe.py`` is what is trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanlearn.config.joint import JointConfig
from scanlearn.config.offer import Offer
from scanlearn.pretraining.joint.presets import PRESETS
from scanlearn.pretraining.method import Method

if TYPE_CHECKING:
    from scanlearn.config.run import RunConfig
    from scanlearn.engine.recipe import Recipe
    from scanlearn.runs.folder import RunFolder


class JointMethod(Method):
    """Clusters slices, images and whole volumes together."""

    offer = Offer(
        title="Joint image-volume",
        about="choose for MR, radiographs, whole slices or several kinds of scans at "
        "once",
        short="joint",
        config=JointConfig,
        presets=PRESETS,
        settings=(
            "recipe.clustering",
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

    def learn(self, config: RunConfig, run: RunFolder) -> Recipe:
        """Build the three stages."""
        from scanlearn.pretraining.joint.recipe import Joint

        return Joint(config)
