"""A segmentation planned for a cohort and its labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.plan_in_words import plan_in_words
from scanlearn.config.segmentation_plan import SegmentationPlan, segmentation_plan
from scanlearn.tasks.segmentation.cohort_facts import segmentation_facts
from scanlearn.tasks.shared.label_set import LabelSet
from scanlearn.tasks.task import PlanRequest


@dataclass(frozen=True)
class PlannedSegmentation:
    """A plan as the doors take it."""

    plan: SegmentationPlan

    def settings(self) -> dict[str, Any]:
        """Return it as settings of a run."""
        return self.plan.settings()

    def sentences(self) -> tuple[str, ...]:
        """Return what was decided, a sentence each."""
        return plan_in_words(self.plan)


def planned_segmentation(request: PlanRequest) -> PlannedSegmentation:
    """Plan a segmentation; time, dimensions and the unlabelled may be asked for.

    Raises
    ------
    BadCohort
        If the cohort holds no usable volume.
    """
    found = request.labels if isinstance(request.labels, LabelSet) else None
    facts = segmentation_facts(
        Cohort(request.cohort), found, start_from=request.start_from, card=request.card
    )
    if found is None and request.labelled is not None:
        facts = facts.with_labelled(request.labelled)
    recipe, engine = (request.changes.get(part, {}) for part in ("recipe", "engine"))
    return PlannedSegmentation(
        segmentation_plan(
            facts,
            minutes=engine.get("minutes"),
            dimensions=recipe.get("dimensions"),
            unlabelled=recipe.get("unlabelled"),
        )
    )
