"""Carrying an atlas to all scans of some cohorts, and saying where that failed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from scanlearn.anatomy.body import body_labels
from scanlearn.anatomy.default_lungs import default_lungs
from scanlearn.anatomy.frames import Frame, FrameKind, frame_of_field, frame_of_mask
from scanlearn.anatomy.label_mask import LabelMask
from scanlearn.anatomy.landmarks import Atlas, make_atlas
from scanlearn.anatomy.placement import Placement, measured, place
from scanlearn.cohort.atlas.atlas_cache import keep_placement, kept_placement
from scanlearn.cohort.working import WorkingCohorts, WorkingScan
from scanlearn.config.drasclr import LandmarkConfig
from scanlearn.errors import BadCohort, BadConfig
from scanlearn.runs.events import Message

#: Scans named in one message.
_NAMED = 12


@dataclass(frozen=True, eq=False)
class PlacedCohorts:
    """Cohorts whose scans all have a place in one atlas.

    Parameters
    ----------
    cohorts
        The scans that can be used.
    atlas
        What their locations refer to.
    placements
        The map of every scan by key, also of those left out.
    """

    cohorts: WorkingCohorts
    atlas: Atlas
    placements: dict[str, Placement]

    def messages(self) -> list[Message]:
        """Say how the scans were placed, and which of them somebody should look at."""
        used = {k: p for k, p in self.placements.items() if p.is_usable}
        methods = Counter(place.method for place in used.values())
        ways = ", ".join(f"{n} by {method}" for method, n in methods.most_common())
        text = f"Locations refer to the {self.atlas.source} atlas: {ways}."
        dice = [place.quality.dice for place in used.values() if place.quality]
        if dice:
            text += f" Overlap (Dice) {min(dice):.2f} to {max(dice):.2f}."
        found = [Message(text=text)]
        out = {k: p for k, p in self.placements.items() if not p.is_usable}
        if out:
            found.append(_listed("Left out, for the atlas does not fit them", out))
        doubtful = {k: p for k, p in used.items() if p.problems}
        if doubtful:
            found.append(_listed("Used, but look at them", doubtful))
        return found

    def report(self) -> dict[str, Any]:
        """Return plain values for JSON: the atlas and how every scan was placed."""
        return {
            "atlas": self.atlas.source,
            "hash": self.atlas.hash,
            "scans": {key: one.to_dict() for key, one in self.placements.items()},
        }


def place_cohorts(cohorts: WorkingCohorts, config: LandmarkConfig) -> PlacedCohorts:
    """Choose an atlas for some cohorts and carry it to their scans.

    Raises
    ------
    BadConfig
        If the configuration names a scan that is not there.
    BadCohort
        If the atlas fits no scan.
    """
    return carry_atlas(cohorts, choose_atlas(cohorts, config))


def carry_atlas(
    cohorts: WorkingCohorts, atlas: Atlas, *, only: Collection[str] | None = None
) -> PlacedCohorts:
    """Carry an atlas to the scans of some cohorts; those it does not fit are left out.

    Parameters
    ----------
    cohorts, atlas
        What is carried where.
    only
        Keys of the scans that matter; all by default.

    Raises
    ------
    BadCohort
        If it fits none of them.
    """
    placements = {
        scan.key: place_scan(cohorts, scan, atlas)
        for scan in cohorts.scans
        if only is None or scan.key in only
    }
    used = {key: place for key, place in placements.items() if place.is_usable}
    if not used and placements:
        key, one = next(iter(placements.items()))
        raise BadCohort(
            f"The {atlas.source} atlas of the {atlas.kind} fits none of the "
            f"{len(placements)} scans; {key}: {'; '.join(one.problems)}",
            next_step="Look at the masks; or set landmarks.coords=field, which uses "
            "the field of view alone",
        )
    return PlacedCohorts(cohorts.placed(used), atlas, placements)


def place_scan(cohorts: WorkingCohorts, scan: WorkingScan, atlas: Atlas) -> Placement:
    """Carry an atlas to one scan; its cohort keeps what a registration found."""
    if atlas.coords == "field":
        return place(atlas, None, frame_of_field(scan.record.grid))
    if atlas.labels is None:
        return place(atlas, None, scan.record.frame)
    layout = cohorts.cohorts[scan.cohort].layout
    found, is_measured = kept_placement(layout, scan.record, atlas) or (None, False)
    if found is not None and is_measured:
        return found
    labels = scan_labels(cohorts, scan, atlas.kind)
    if found is None or labels is None or labels.is_empty:
        found = place(atlas, labels, scan.record.frame)
    else:
        found = replace(found, quality=measured(atlas, labels, found.matrix))
    keep_placement(layout, scan.record, atlas, found)
    return found


def choose_atlas(cohorts: WorkingCohorts, config: LandmarkConfig) -> Atlas:
    """Make the atlas that a configuration asks for.

    The default one is drawn by code for lungs; for a body, of which no shape is
    typical, it is the most central scan.

    Raises
    ------
    BadConfig
        If the configuration names a scan that is not there.
    """
    kind = _kind(cohorts, config)
    settings: dict[str, Any] = {
        "kind": kind,
        "patch_mm": config.patch_mm,
        "step_mm": config.step_mm,
        "least_fraction": config.min_lung,
        "at_most": config.at_most,
    }
    if kind == "field":
        frames = [_box(scan, config) for scan in cohorts.scans]
        size = np.median([frame.size_mm for frame in frames], axis=0)
        sides = (float(size[0]), float(size[1]), float(size[2]))
        settings["coords"] = "field" if config.coords == "field" else "bbox"
        return make_atlas(sides, **settings)
    settings["coords"] = config.coords
    if config.atlas == "default" and kind == "lungs":
        return make_atlas(default_lungs(), **settings)
    if config.atlas in ("default", "central"):
        scan = central_scan(cohorts, kind)
    else:
        scan = _scan_named(cohorts, config.atlas)
    labels = scan_labels(cohorts, scan, kind)
    if labels is None or labels.is_empty:
        raise BadConfig(
            f"The scan {scan.key} has no {kind} mask, so it cannot be the atlas",
            next_step="Set landmarks.atlas to another scan, to central or to default",
        )
    return make_atlas(labels, source=scan.key, **settings)


def scan_labels(
    cohorts: WorkingCohorts, scan: WorkingScan, kind: FrameKind
) -> LabelMask | None:
    """Return what is registered of a scan: its lung mask or its body."""
    cohort = cohorts.cohorts[scan.cohort]
    if kind == "body":
        hounsfield = scan.units == "HU"
        voxels = cohort.voxels(scan.key)
        return body_labels(voxels, scan.record.grid, hounsfield=hounsfield)
    found = cohort.lungs(scan.key) if kind == "lungs" else None
    return None if found is None else LabelMask(*found)


def central_scan(cohorts: WorkingCohorts, kind: FrameKind) -> WorkingScan:
    """Return the scan whose box is nearest to the median of all, in relative sizes.

    Section 13.3 (c) of the method's description: a typical size distorts the fewest.
    """
    boxes = []
    for scan in cohorts.scans:
        labels = scan_labels(cohorts, scan, kind)
        size = np.full(3, np.inf)
        if labels is not None and not labels.is_empty:
            own = frame_of_mask(labels.mask > 0, labels.grid, kind=kind)
            size = np.log(own.size_mm)
        boxes.append(size)
    sizes = np.array(boxes)
    known = np.isfinite(sizes).all(axis=1)
    if not known.any():
        raise BadCohort(f"No scan has a {kind} mask: none can be the atlas")
    away = np.abs(sizes - np.median(sizes[known], axis=0)).sum(axis=1)
    return cohorts.scans[int(away.argmin())]


def _kind(cohorts: WorkingCohorts, config: LandmarkConfig) -> FrameKind:
    """Return what locations refer to: what most scans show."""
    if config.coords == "field":
        return "field"
    if config.region != "auto":
        return config.region
    kinds = Counter(scan.record.frame.kind for scan in cohorts.scans)
    return kinds.most_common(1)[0][0]


def _box(scan: WorkingScan, config: LandmarkConfig) -> Frame:
    if config.coords == "field":
        return frame_of_field(scan.record.grid)
    return scan.record.frame


def _scan_named(cohorts: WorkingCohorts, key: str) -> WorkingScan:
    for scan in cohorts.scans:
        if scan.key == key:
            return scan
    raise BadConfig(
        f"landmarks.atlas names {key}, which is no usable scan of the cohort",
        expected="default, central or the key of a scan",
        next_step="Look for the key in the cohort's catalogue.csv",
    )


def _listed(what: str, some: dict[str, Placement]) -> Message:
    items = [f"{key} ({'; '.join(one.problems)})" for key, one in some.items()]
    more = f" and {len(items) - _NAMED} more" if len(items) > _NAMED else ""
    return Message(
        severity="warning", text=f"{what}: {', '.join(items[:_NAMED])}{more}."
    )
