"""DrasCLR (Yu et al., Medical Image Analysis 2023).

Here stands what the method is; ``recipe.py`` is what is trained.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scanlearn.config.drasclr import DrasclrConfig
from scanlearn.config.offer import Offer
from scanlearn.errors import BadCohort
from scanlearn.pretraining.drasclr.presets import PRESETS
from scanlearn.pretraining.method import Method

if TYPE_CHECKING:
    from scanlearn.config.run import RunConfig
    from scanlearn.engine.recipe import Recipe
    from scanlearn.runs.folder import RunFolder

#: Of the lungs, where none are left out.
_LANDMARKS = 581


class DrasclrMethod(Method):
    """Tells patches of one anatomical place apart between patients."""

    offer = Offer(
        title="DrasCLR",
        about="choose for CT of one organ with subtle, local disease",
        short="DrasCLR",
        config=DrasclrConfig,
        presets=PRESETS,
        settings=(
            "engine.passes",
            "engine.steps",
            "engine.minutes",
            "recipe.spacing_mm",
            "recipe.batch",
            "recipe.landmarks.atlas",
            "engine.seed",
        ),
    )
    atlas = True

    def check(self, config: RunConfig) -> None:
        """See that there are at least two patients, who can be told apart."""
        from scanlearn.cohort.working import WorkingCohorts

        spacing_mm = config.section(DrasclrConfig).spacing_mm
        if len(WorkingCohorts(config.cohorts, spacing_mm).patients()) < 2:
            raise BadCohort(
                f"{', '.join(map(str, config.cohorts))} holds scans of one patient "
                "only",
                expected="at least 2 patients: pre-training tells patients apart",
                next_step="Add scans of other patients with 'scanlearn prepare'",
            )

    def steps_a_pass(self, config: RunConfig) -> float:
        """Return the batches that hold each patient at each landmark once."""
        from scanlearn.cohort.working import WorkingCohorts

        settings = config.section(DrasclrConfig)
        patients = len(WorkingCohorts(config.cohorts, settings.spacing_mm).patients())
        landmarks = settings.landmarks.at_most or _LANDMARKS
        return landmarks * max(1, patients // min(settings.batch, patients))

    def learn(self, config: RunConfig, run: RunFolder) -> Recipe:
        """Build the contrast inside a place and around it."""
        from scanlearn.pretraining.drasclr.recipe import Drasclr

        return Drasclr(config)
