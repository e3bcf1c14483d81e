"""How a segmentation is trained on a cohort: decided from a few facts.

A plan is a pure function of the facts. ``plan_in_words`` says each of its decisions,
``docs/segmentation_plan.md`` what was measured for it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

#: Slices that are so many times as thick as their pixels are wide are learned one by
#: one: a cube of voxels would show little beside its own slice.
THICK = 3.0

#: Side of a cubic tile; a volume thinner than that has slices rather than depth.
TILE = 32

#: How far slices are turned. Planes of one kind are not acquired at one angle: at 30
#: degrees patients scanned at another one were missed.
_TURN = 75.0

#: Voxels of a volume's longest side that cubes of that size can cover in the time.
_LONGEST, _LONGEST_ON_CARD = 192, 320

#: Pixels of a crop, and on a graphics card.
_CROP, _CROP_ON_CARD = 96, 192

#: Updates that a minute holds: one core of a CPU, a graphics card (not measured).
_A_MINUTE = {(2, False): 320, (3, False): 225, (2, True): 600, (3, True): 400}

#: Past these updates nothing was gained, or nothing was tried.
_MOST, _LEAST = 8000, 400

#: Minutes that a training may take unless they are named.
_MINUTES, _MINUTES_ON_CARD = 5.0, 60.0

#: Labelled patients from which some are held out.
ENOUGH_TO_HOLD_OUT = 8

#: Labelled patients up to which scans without labels paid, in slices.
_FEW = 2


@dataclass(frozen=True)
class CohortFacts:
    """What a plan depends on.

    Parameters
    ----------
    spacing_mm, shape
        Voxel size, and voxels of the median scan, head-foot, front-back, right-left.
    units
        What intensities mean.
    labelled
        Patients with labels; None while they are not known.
    unlabelled
        Scans without labels that may be learned from.
    encoder
        What the encoder it starts from sees; empty from scratch.
    card
        Whether there is a graphics card.
    """

    spacing_mm: tuple[float, float, float]
    shape: tuple[int, int, int]
    units: Literal["HU", "zscore", "unit"]
    labelled: int | None = None
    unlabelled: int = 0
    encoder: Literal["", "slices", "patches"] = ""
    card: bool = False

    def with_labelled(self, patients: int) -> CohortFacts:
        """Return the facts of a cohort of which some patients are said to be labelled.

        Each of them for one scan, until their labels are read.
        """
        left = max(0, self.unlabelled - patients)
        return replace(self, labelled=patients, unlabelled=left)

    @property
    def thick_axis(self) -> int:
        """The axis of the largest spacing; the first of equal ones."""
        return self.spacing_mm.index(max(self.spacing_mm))

    @property
    def in_plane_mm(self) -> float:
        """The finer of the two spacings across the thick axis."""
        axis = self.thick_axis
        return min(mm for n, mm in enumerate(self.spacing_mm) if n != axis)

    @property
    def thickness(self) -> float:
        """How many times as thick as wide the voxels are."""
        return max(self.spacing_mm) / self.in_plane_mm


@dataclass(frozen=True)
class SegmentationPlan:
    """What was decided, and why.

    Parameters
    ----------
    facts
        Of the cohort.
    dimensions, axis
        Cubes, or slices across an axis.
    factor
        How many voxels are averaged to one along each axis.
    crop, batch
        Pixels or voxels of a tile's side, and tiles an update.
    minutes, updates
        What a training may take, and what that holds.
    hold_out
        Share of the labelled patients that choose the best weights.
    unlabelled
        Whether to learn from scans without labels, too; the updates are then twice as
        many.
    """

    facts: CohortFacts
    dimensions: Literal[2, 3]
    axis: int
    factor: int
    crop: int
    batch: int
    minutes: float
    updates: int
    hold_out: float
    unlabelled: bool

    def settings(self) -> dict[str, Any]:
        """Return the plan as settings of a run, in the sections of one."""
        steps = self.updates * (2 if self.unlabelled else 1)
        every = max(1, steps // 8)
        recipe = self._slices() if self.dimensions == 2 else self._volumes()
        recipe |= {
            "batch": self.batch,
            "average": 0.03,
            "keep_largest": True,
            "validation": self.hold_out,
            "unlabelled": self.unlabelled,
        }
        engine = {"steps": steps, "save_every": every, "validate_every": every}
        return {"recipe": recipe, "engine": engine | {"clip_norm": 1.0}}

    @property
    def spacing_mm(self) -> float:
        """The finest size of the voxels that are learned from."""
        facts = self.facts
        two = self.dimensions == 2
        return self.factor * (facts.in_plane_mm if two else min(facts.spacing_mm))

    def _slices(self) -> dict[str, Any]:
        return {
            "dimensions": 2,
            "slice_axis": self.axis,
            "crop": self.crop,
            "width": 16,
            "strength": "medium",
            "rotate_degrees": _TURN,
            "optimiser": {"learning_rate": 2e-3, "weight_decay": 1e-4, "warmup": 0.05},
        }

    def _volumes(self) -> dict[str, Any]:
        spacing = None if self.factor == 1 else self.spacing_mm
        return {
            "spacing_mm": spacing,
            "tile": self.crop,
            "width": 8,
            "stride": 2,
            "strength": "weak",
            "optimiser": {"learning_rate": 1e-2, "weight_decay": 1e-4, "warmup": 0.05},
        }


def segmentation_plan(
    facts: CohortFacts,
    *,
    minutes: float | None = None,
    dimensions: Literal[2, 3] | None = None,
    unlabelled: bool | None = None,
) -> SegmentationPlan:
    """Plan the training of a segmentation.

    Parameters
    ----------
    facts
        Of the cohort.
    minutes
        What a training may take; 5 on a CPU and an hour on a card, if not named.
    dimensions, unlabelled
        What the user decided, of what the plan would.
    """
    planned, axis = _dimensions(facts)
    dimensions = dimensions or planned
    wide = min(n for number, n in enumerate(facts.shape) if number != axis)
    crop = _CROP_ON_CARD if facts.card else _CROP
    budget = minutes or (_MINUTES_ON_CARD if facts.card else _MINUTES)
    held = budget * _A_MINUTE[dimensions, facts.card]
    few = dimensions == 2 and facts.labelled is not None and facts.labelled <= _FEW
    enough = facts.labelled is not None and facts.labelled >= ENOUGH_TO_HOLD_OUT
    return SegmentationPlan(
        facts,
        dimensions,
        axis,
        factor=_factor(facts) if dimensions == 3 else 1,
        crop=min(crop, -(-wide // TILE) * TILE) if dimensions == 2 else TILE,
        batch=16 if dimensions == 2 else 8,
        minutes=budget,
        updates=int(min(_MOST, max(_LEAST, held))) // 10 * 10,
        hold_out=0.2 if enough else 0.0,
        unlabelled=(few if unlabelled is None else unlabelled) and facts.unlabelled > 0,
    )


def _dimensions(facts: CohortFacts) -> tuple[Literal[2, 3], int]:
    """Return how many dimensions are learned in, and across which axis slices lie."""
    thick = facts.thickness > THICK
    axis = facts.thick_axis if thick else facts.shape.index(min(facts.shape))
    if facts.encoder == "patches":
        return 3, 0
    if facts.encoder == "slices":
        return 2, facts.thick_axis if thick else 0
    return (2, axis) if thick or min(facts.shape) < TILE else (3, 0)


def _factor(facts: CohortFacts) -> int:
    """Return how many voxels are averaged to one, so that tiles can cover a scan."""
    if facts.encoder == "patches":
        return 1
    longest = _LONGEST_ON_CARD if facts.card else _LONGEST
    return -(-max(facts.shape) // longest)
