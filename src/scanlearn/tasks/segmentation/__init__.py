"""Segmentation: a class for every voxel.

Here stands what the task is and which file of this room does what.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from scanlearn.config.measured import worth_of
from scanlearn.config.offer import Offer
from scanlearn.config.segmentation import SegmentationConfig
from scanlearn.tasks.segmentation.presets import PRESETS
from scanlearn.tasks.task import PlanRequest, Task

if TYPE_CHECKING:
    from scanlearn.cohort.catalogue import Cohort
    from scanlearn.config.run import RunConfig
    from scanlearn.encoders.encoder_kind import EncoderKind
    from scanlearn.engine.fitting import Fit
    from scanlearn.engine.recipe import Recipe
    from scanlearn.prediction.each_scan import Request, Tell
    from scanlearn.runs.folder import RunFolder
    from scanlearn.tasks.segmentation.card import AnyCard
    from scanlearn.tasks.segmentation.planning import PlannedSegmentation
    from scanlearn.tasks.shared.evaluation import Evaluation
    from scanlearn.tasks.shared.label_set import LabelSet


class SegmentationTask(Task):
    """Outlines organs or lesions, in volumes or slice by slice."""

    offer = Offer(
        title="Segmentation",
        about="outline organs or lesions from a few painted slices",
        short="seg.",
        config=SegmentationConfig,
        presets=PRESETS,
        settings=(
            "engine.steps",
            "engine.minutes",
            "recipe.batch",
            "recipe.unlabelled",
            "engine.seed",
            "recipe.ignore_reference",
        ),
    )
    worth = worth_of("segmentation")
    views = True
    doubts = True
    goes_on = True
    label_maps = True

    def misfit(self, kind: EncoderKind, *, radiographs: bool) -> str:
        """Return why a training cannot start from an encoder."""
        from scanlearn.tasks.shared.start_fits import needs_full_maps, needs_slices

        return needs_slices(kind) if radiographs else needs_full_maps(kind)

    def labels(self, source: Path, cohort: Cohort, config: RunConfig) -> LabelSet:
        """Find and check painted label maps."""
        from scanlearn.tasks.segmentation.labels import collect_training_maps

        settings = config.section(SegmentationConfig)
        return collect_training_maps(source, cohort, settings)

    def plan(self, request: PlanRequest) -> PlannedSegmentation:
        """Decide dimensions, crops, updates and what follows."""
        from scanlearn.tasks.segmentation.planning import planned_segmentation

        return planned_segmentation(request)

    def learn(self, config: RunConfig, run: RunFolder) -> Recipe | Fit:
        """Build a U-Net on an encoder of patches or of slices."""
        from scanlearn.tasks.segmentation.learn import segmentation_recipe

        return segmentation_recipe(config, run)

    def card(self, run: Path) -> AnyCard:
        """Read what a trained run says of its model."""
        from scanlearn.tasks.segmentation.card import read_segmenter_card

        return read_segmenter_card(run)

    def predict(self, run: RunFolder, request: Request, tell: Tell) -> list[Path]:
        """Write label maps, probabilities and volumes."""
        from scanlearn.tasks.segmentation.predict import predict_segmentations

        return predict_segmentations(run, request, tell)

    def score(
        self,
        run: RunFolder,
        labels: Path,
        cohort: Cohort,
        tell: Tell,
        *,
        ignore_reference: bool = False,
    ) -> Evaluation:
        """Compare label maps: overlap, distance of surfaces, volume."""
        from scanlearn.tasks.segmentation.scores import evaluate_segmentation

        return evaluate_segmentation(
            run, labels, cohort, tell, ignore_reference=ignore_reference
        )

    def doubt(
        self, run: RunFolder, cohort: Cohort, keys: Sequence[str], tell: Tell
    ) -> dict[str, float]:
        """Return the mean entropy of the classes where they are in question."""
        from scanlearn.tasks.segmentation.predict import doubt_of_segmentations

        return doubt_of_segmentations(run, cohort, keys, tell)
