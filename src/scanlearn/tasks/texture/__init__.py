"""Texture: a class at every place of the lungs.

Here stands what the task is and which file of this room does what.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scanlearn.config.measured import worth_of
from scanlearn.config.offer import Offer
from scanlearn.config.texture import TextureConfig
from scanlearn.tasks.task import Task
from scanlearn.tasks.texture.presets import PRESETS

if TYPE_CHECKING:
    from scanlearn.cohort.catalogue import Cohort
    from scanlearn.config.run import RunConfig
    from scanlearn.engine.fitting import Fit
    from scanlearn.engine.recipe import Recipe
    from scanlearn.prediction.each_scan import Request, Tell
    from scanlearn.runs.folder import RunFolder
    from scanlearn.tasks.shared.evaluation import Evaluation
    from scanlearn.tasks.texture.card import TextureCard
    from scanlearn.tasks.texture.labels import PlaceSet


class TextureTask(Task):
    """Maps subtypes of emphysema and the like."""

    offer = Offer(
        title="Texture (emphysema subtypes)",
        about="a class at every place of the lungs, from points, regions or patches",
        short="texture",
        config=TextureConfig,
        presets=PRESETS,
        settings=(
            "recipe.method",
            "recipe.stride_mm",
            "recipe.patch_mm",
            "recipe.ignore_reference",
        ),
    )
    worth = worth_of("texture")
    doubts = True
    label_maps = True

    def labels(self, source: Path, cohort: Cohort, config: RunConfig) -> PlaceSet:
        """Find and check labelled places."""
        from scanlearn.tasks.texture.labels import collect_places

        settings = config.section(TextureConfig)
        return collect_places(source, cohort, settings)

    def learn(self, config: RunConfig, run: RunFolder) -> Recipe | Fit:
        """Build a linear model on frozen features, or train the encoder too."""
        from scanlearn.tasks.texture.learn import texture_recipe

        return texture_recipe(config, run)

    def card(self, run: Path) -> TextureCard:
        """Read what a trained run says of its model."""
        from scanlearn.tasks.texture.card import read_texture_card

        return read_texture_card(run)

    def predict(self, run: RunFolder, request: Request, tell: Tell) -> list[Path]:
        """Write maps of classes and what each part of the lungs holds."""
        from scanlearn.tasks.texture.predict import predict_textures

        return predict_textures(run, request, tell)

    def score(
        self,
        run: RunFolder,
        labels: Path,
        cohort: Cohort,
        tell: Tell,
        *,
        ignore_reference: bool = False,
    ) -> Evaluation:
        """Score classes at labelled places."""
        from scanlearn.tasks.texture.scores import evaluate_texture

        return evaluate_texture(
            run, labels, cohort, tell, ignore_reference=ignore_reference
        )

    def doubt(
        self, run: RunFolder, cohort: Cohort, keys: Sequence[str], tell: Tell
    ) -> dict[str, float]:
        """Return the mean entropy of the classes over the lungs."""
        from scanlearn.tasks.texture.doubt import doubt_of_textures

        return doubt_of_textures(run, cohort, keys, tell)
