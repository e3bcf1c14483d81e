"""How well an atlas lies in a scan, and what is said where it does not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from scanlearn.anatomy.default_lungs import default_lungs
from scanlearn.anatomy.frames import Frame
from scanlearn.anatomy.label_mask import LabelMask
from scanlearn.anatomy.landmarks import Atlas, Coords, make_atlas
from scanlearn.anatomy.lungs import LungMask
from scanlearn.anatomy.placement import Placement, Quality, place
from scanlearn.scans.scan import Problem

_ACTION = "Look at the lung mask; exclude the scan or give a mask of your own."


@dataclass(frozen=True)
class AtlasQuality:
    """How well one atlas lies in one scan.

    Parameters
    ----------
    atlas
        ``default`` or the key of a scan.
    kind
        What the atlas is an image of.
    method
        How it was carried to the scan.
    usable
        Whether trainings use the scan with it.
    problems
        What somebody should look at.
    quality
        Overlap and the like; None where there was nothing to compare.
    """

    atlas: str
    kind: str
    method: Coords
    usable: bool
    problems: tuple[str, ...]
    quality: Quality | None

    def remark(self) -> Problem | None:
        """Say what is wrong with the fit; None where nothing is."""
        if not self.problems:
            return None
        name = "The default atlas" if self.atlas == "default" else f"Atlas {self.atlas}"
        what = "fits badly" if self.usable else "does not fit, trainings leave it out"
        text = f"{name} of the {self.kind} {what}: {'; '.join(self.problems)}."
        return Problem("registration", "warning", text, _ACTION)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: dict[str, Any]) -> AtlasQuality:
        """Return what :meth:`to_dict` made plain."""
        quality = plain["quality"]
        if quality is not None:
            quality = Quality(**quality | {"scales": tuple(quality["scales"])})
        problems = tuple(plain["problems"])
        return cls(**plain | {"problems": problems, "quality": quality})


def quality_of(placement: Placement, atlas: Atlas) -> AtlasQuality:
    """Return what is told of a placement."""
    return AtlasQuality(
        atlas.source,
        atlas.kind,
        placement.method,
        placement.is_usable,
        placement.problems,
        placement.quality,
    )


def default_placement(lungs: LungMask | None, frame: Frame) -> Placement | None:
    """Carry the default atlas to the lungs of a scan; None where it shows none."""
    if lungs is None or lungs.volume_ml == 0:
        return None
    return place(default_atlas(), LabelMask(lungs.mask, lungs.grid), frame)


def remarks(placement: Placement | None) -> tuple[Problem, ...]:
    """Say whether the default atlas fits the lungs of a scan."""
    if placement is None:
        return ()
    found = quality_of(placement, default_atlas()).remark()
    return (found,) if found else ()


@cache
def default_atlas() -> Atlas:
    """Return the atlas drawn by code, with the landmarks of the method."""
    return make_atlas(
        default_lungs(), kind="lungs", patch_mm=32, step_mm=26, least_fraction=0.1
    )
