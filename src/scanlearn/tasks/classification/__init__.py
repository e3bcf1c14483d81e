"""Classification: what single images show.

Here stands what the task is and which file of this room does what.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scanlearn.config.classification import ClassificationConfig
from scanlearn.config.measured import worth_of
from scanlearn.config.offer import Offer
from scanlearn.tasks.classification.presets import PRESETS
from scanlearn.tasks.task import Task

if TYPE_CHECKING:
    from scanlearn.cohort.catalogue import Cohort
    from scanlearn.config.run import RunConfig
    from scanlearn.encoders.encoder_kind import EncoderKind
    from scanlearn.engine.fitting import Fit
    from scanlearn.engine.recipe import Recipe
    from scanlearn.prediction.each_scan import Request, Tell
    from scanlearn.runs.folder import RunFolder
    from scanlearn.tasks.classification.card import ClassifierCard
    from scanlearn.tasks.classification.labels import ImageLabels
    from scanlearn.tasks.shared.evaluation import Evaluation


class ClassificationTask(Task):
    """Says of radiographs what they show, and where it was seen."""

    offer = Offer(
        title="Classification of radiographs",
        about="what single images show, normal or abnormal, or several findings",
        short="class.",
        config=ClassificationConfig,
        presets=PRESETS,
        settings=("recipe.method", "engine.steps", "engine.minutes", "engine.seed"),
    )
    worth = worth_of("classification")
    doubts = True

    def misfit(self, kind: EncoderKind, *, radiographs: bool) -> str:
        """Return why a training cannot start from an encoder."""
        from scanlearn.tasks.shared.start_fits import needs_slices

        return needs_slices(kind)

    def labels(self, source: Path, cohort: Cohort, config: RunConfig) -> ImageLabels:
        """Find and check what images of a table show."""
        from scanlearn.tasks.classification.labels import collect_image_labels

        return collect_image_labels(
            source, cohort, config.section(ClassificationConfig)
        )

    def learn(self, config: RunConfig, run: RunFolder) -> Recipe | Fit:
        """Build a linear layer on frozen features, or train the trunk too."""
        from scanlearn.tasks.classification.learn import classification_recipe

        return classification_recipe(config, run)

    def card(self, run: Path) -> ClassifierCard:
        """Read what a trained run says of its model."""
        from scanlearn.tasks.classification.card import read_classifier_card

        return read_classifier_card(run)

    def predict(self, run: RunFolder, request: Request, tell: Tell) -> list[Path]:
        """Write probabilities and activation maps."""
        from scanlearn.tasks.classification.predict import predict_classifications

        return predict_classifications(run, request, tell)

    def score(
        self,
        run: RunFolder,
        labels: Path,
        cohort: Cohort,
        tell: Tell,
        *,
        ignore_reference: bool = False,
    ) -> Evaluation:
        """Score classes with intervals over patients."""
        from scanlearn.tasks.classification.scores import evaluate_classification

        return evaluate_classification(run, labels, cohort, tell)

    def doubt(
        self, run: RunFolder, cohort: Cohort, keys: Sequence[str], tell: Tell
    ) -> dict[str, float]:
        """Return how near to guessing each image is."""
        from scanlearn.tasks.classification.predict import doubt_of_classifications

        return doubt_of_classifications(run, cohort, keys, tell)
