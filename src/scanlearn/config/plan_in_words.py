"""A plan of a segmentation in words, for the one who presses Start."""

from __future__ import annotations

from scanlearn.config.segmentation_plan import (
    ENOUGH_TO_HOLD_OUT,
    THICK,
    TILE,
    SegmentationPlan,
    segmentation_plan,
)


def plan_in_words(plan: SegmentationPlan) -> tuple[str, ...]:
    """Return what was decided, a sentence each, for the one who presses Start."""
    return (
        _of_dimensions(plan),
        _of_crops(plan),
        _of_updates(plan),
        _of_changes(plan),
        "The largest piece is kept of each class that is one piece in the labels.",
        _of_patients(plan),
        _of_unlabelled(plan),
    )


def _of_dimensions(plan: SegmentationPlan) -> str:
    facts = plan.facts
    kind = "Slice by slice" if plan.dimensions == 2 else "In three dimensions"
    if plan.dimensions != segmentation_plan(facts).dimensions:
        return f"{kind}, as asked."
    if facts.encoder:
        seen = "slices" if facts.encoder == "slices" else "volumes"
        return f"{kind}: the encoder it starts from sees {seen}."
    if plan.dimensions == 3:
        return (
            f"In three dimensions: voxels of {_mm(facts.spacing_mm)} are nearly as "
            "long as wide."
        )
    slices = facts.shape[plan.axis]
    if facts.thickness > THICK:
        return (
            f"Slice by slice: they are {facts.thickness:.1f} times as thick "
            f"({facts.spacing_mm[plan.axis]:g} mm) as a pixel is wide."
        )
    return f"Slice by slice: {slices} slices are fewer than a cube of {TILE} has."


def _of_crops(plan: SegmentationPlan) -> str:
    noun = "Crops" if plan.dimensions == 2 else "Cubes"
    unit = "pixels" if plan.dimensions == 2 else "voxels"
    if plan.facts.encoder == "patches":
        whose = "of the encoder's size"
    elif plan.factor == 1:
        whose = f"of the cohort's own {plan.spacing_mm:g} mm"
    else:
        whose = f"of {plan.spacing_mm:g} mm, for the scans are large"
    return f"{noun} of {plan.crop} {unit} {whose}, {plan.batch} an update."


def _of_updates(plan: SegmentationPlan) -> str:
    where = "a graphics card" if plan.facts.card else "a CPU"
    if plan.unlabelled:
        return (
            f"Twice {plan.updates:,} updates, about {2 * plan.minutes:g} minutes "
            f"on {where}: to label the other scans, then to learn from all."
        )
    return f"{plan.updates:,} updates: about {plan.minutes:g} minutes on {where}."


def _of_changes(plan: SegmentationPlan) -> str:
    turns = "75 degrees" if plan.dimensions == 2 else "12 degrees"
    ct = plan.facts.units == "HU"
    tones = (
        "shift and noise, for Hounsfield units keep their scale"
        if ct
        else "contrast, brightness, sharpness and noise"
        if plan.dimensions == 2
        else "contrast and noise"
    )
    return (
        f"Random changes: turns up to {turns}, size, {tones}. No mirroring, for "
        "classes may have a side."
    )


def _of_patients(plan: SegmentationPlan) -> str:
    if plan.facts.labelled is None:
        return (
            f"From {ENOUGH_TO_HOLD_OUT} labelled patients on, a fifth of them "
            "choose the best weights; with fewer all are learned from."
        )
    count = _count(plan.facts.labelled, "labelled patient")
    if plan.hold_out:
        return f"{count}: a fifth of them choose the best weights."
    return f"{count}: none is held out."


def _of_unlabelled(plan: SegmentationPlan) -> str:
    if not plan.facts.unlabelled:
        return "There are no scans without labels to learn from."
    count = _count(plan.facts.unlabelled, "scan") + " without labels"
    what = "are learned from, too" if plan.unlabelled else "are not learned from"
    if plan.unlabelled != segmentation_plan(plan.facts).unlabelled:
        why = "as asked"
    elif plan.unlabelled:
        why = "with so few labels that paid"
    elif plan.dimensions == 3:
        why = "with volumes that did not pay"
    else:
        why = "that paid with 1 or 2 labelled patients, not with more"
    return f"{count} {what}: {why}."


def _mm(spacing: tuple[float, ...]) -> str:
    return " x ".join(f"{mm:g}" for mm in spacing) + " mm"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
