"""A segmentation planned for a cohort and its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.plan_in_words import plan_in_words
from scanlearn.config.run import merge
from scanlearn.config.segmentation_plan import SegmentationPlan, segmentation_plan
from scanlearn.tasks.segmentation.cohort_facts import segmentation_facts
from scanlearn.tasks.shared.earlier_model import model_card
from scanlearn.tasks.shared.label_set import LabelSet
from scanlearn.tasks.task import PlanRequest


@dataclass(frozen=True)
class PlannedSegmentation:
    """A plan as the doors take it."""

    plan: SegmentationPlan
    #: What stays as it was in the training to go on from, and the name of that.
    kept: Mapping[str, Any] = field(default_factory=dict)
    earlier: str = ""

    def settings(self) -> dict[str, Any]:
        """Return it as settings of a run."""
        return merge(self.plan.settings(), {"recipe": dict(self.kept)})

    def sentences(self) -> tuple[str, ...]:
        """Return what was decided, a sentence each."""
        said = plan_in_words(self.plan)
        if not self.earlier:
            return said
        return (
            f"Goes on from {self.earlier}, with its network. A score is too good where "
            "that has seen the scans.",
            *said,
        )


def kept_in(start: Path | None) -> dict[str, Any]:
    """Return the settings that stay where a training goes on from a segmentation."""
    card = {} if start is None else model_card(start)
    if card.get("architecture") == "location-unet":
        return {
            "dimensions": 3,
            "tile": card["tile"],
            "stride": card.get("stride", 1),
        }
    if card.get("crops"):
        return {"dimensions": 2, "slice_axis": card["axis"], "crop": card["side"]}
    wanted = ("side", "context", "neighbours")
    kept = {name: card[name] for name in wanted if name in card}
    return {"dimensions": None, **kept} if kept else {}


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
    kept = kept_in(request.start_from)
    recipe, engine = (request.changes.get(part, {}) for part in ("recipe", "engine"))
    return PlannedSegmentation(
        segmentation_plan(
            facts,
            minutes=engine.get("minutes"),
            dimensions=recipe.get("dimensions", kept.get("dimensions")),
            unlabelled=recipe.get("unlabelled"),
        ),
        kept,
        request.start_from.name if request.start_from and kept else "",
    )
