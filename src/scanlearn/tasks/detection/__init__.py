"""Detection: spheres in volumes, boxes on radiographs.

Here stands what the task is and which file of this room does what.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scanlearn.config.detection import DetectionConfig
from scanlearn.config.measured import worth_of
from scanlearn.config.offer import Offer
from scanlearn.tasks.detection.presets import PRESETS
from scanlearn.tasks.task import Task

if TYPE_CHECKING:
    from scanlearn.cohort.catalogue import Cohort
    from scanlearn.config.run import RunConfig
    from scanlearn.encoders.encoder_kind import EncoderKind
    from scanlearn.engine.recipe import Recipe
    from scanlearn.prediction.each_scan import Request, Tell
    from scanlearn.runs.folder import RunFolder
    from scanlearn.tasks.detection.card import AnyDetectorCard
    from scanlearn.tasks.detection.finding_set import FindingSet
    from scanlearn.tasks.shared.evaluation import Evaluation


class DetectionTask(Task):
    """Finds nodules, or abnormal regions of radiographs."""

    offer = Offer(
        title="Detection",
        about="find nodules from points with a diameter, or abnormal regions of "
        "radiographs from boxes; scans without are welcome",
        short="det.",
        config=DetectionConfig,
        presets=PRESETS,
        settings=(
            *("engine.steps", "engine.minutes", "recipe.batch"),
            *("recipe.within_lungs", "engine.seed"),
            "recipe.ignore_reference",
        ),
    )
    worth = worth_of("detection")

    def misfit(self, kind: EncoderKind, *, radiographs: bool) -> str:
        """Return why a training cannot start from an encoder."""
        from scanlearn.tasks.shared.start_fits import needs_patches, needs_slices

        return needs_slices(kind) if radiographs else needs_patches(kind)

    def labels(self, source: Path, cohort: Cohort, config: RunConfig) -> FindingSet:
        """Find and check spheres or boxes."""
        from scanlearn.tasks.detection.labels import collect_findings

        settings = config.section(DetectionConfig)
        return collect_findings(source, cohort, settings)

    def learn(self, config: RunConfig, run: RunFolder) -> Recipe:
        """Build a centre map on an encoder of patches or of slices."""
        from scanlearn.tasks.detection.learn import detection_recipe

        return detection_recipe(config, run)

    def card(self, run: Path) -> AnyDetectorCard:
        """Read what a trained run says of its model."""
        from scanlearn.tasks.detection.card import read_detector_card

        return read_detector_card(run)

    def predict(self, run: RunFolder, request: Request, tell: Tell) -> list[Path]:
        """Write a table of findings for every scan."""
        from scanlearn.tasks.detection.predict import predict_detections

        return predict_detections(run, request, tell)

    def score(
        self,
        run: RunFolder,
        labels: Path,
        cohort: Cohort,
        tell: Tell,
        *,
        ignore_reference: bool = False,
    ) -> Evaluation:
        """Judge findings: FROC, CPM, average precision."""
        from scanlearn.tasks.detection.scores import evaluate_detection

        return evaluate_detection(
            run, labels, cohort, tell, ignore_reference=ignore_reference
        )
