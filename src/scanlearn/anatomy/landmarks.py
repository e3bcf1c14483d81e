"""The atlas: which places of the body are compared between patients.

An atlas is a labelled shape, such as a right and a left lung, with landmarks on a
regular grid where enough of a patch is inside. It travels with every encoder, because
the encoder's kernels depend on locations that mean nothing without it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scanlearn.anatomy.frames import Frame, FrameKind
from scanlearn.anatomy.label_mask import LabelMask, coarse_labels, share_in_boxes
from scanlearn.anatomy.neighbours import Neighbours, nearest_landmarks
from scanlearn.anatomy.registration import AtlasShape

#: How the atlas is carried to a patient: by a registration, by the moments of the
#: masks, by their boxes, or by the field of view alone.
Coords = Literal["affine", "moments", "bbox", "field"]

#: From this many landmarks on, patches must hold more of the organ: the release's rule.
_MANY, _MORE = 1000, 0.1


@dataclass(frozen=True, eq=False)
class Atlas:
    """Landmarks in normalised coordinates.

    Parameters
    ----------
    kind
        What the atlas is an image of.
    size_mm
        Lengths (x, y, z) of its box, whose middle is (0, 0, 0) and whose faces have the
        locations -1 and 1.
    landmarks
        (P, 3) locations in [-1, 1]^3 of the patches' centres.
    fraction
        (P,) share of a patch that is inside.
    patch_mm
        Side of the patches.
    labels
        The shape, on voxels of 4 mm; None where only boxes are compared.
    coords
        How it is to be carried to patients.
    source
        Where it comes from: ``default`` or the key of a scan.
    """

    kind: FrameKind
    size_mm: tuple[float, float, float]
    landmarks: NDArray[np.float32]
    fraction: NDArray[np.float32]
    patch_mm: float = 32.0
    labels: LabelMask | None = None
    coords: Coords = "affine"
    source: str = "default"

    @property
    def frame(self) -> Frame:
        """The atlas's own box."""
        x, y, z = (side / 2 for side in self.size_mm)
        return Frame((-x, -y, -z), (x, y, z), self.kind)

    @cached_property
    def shape(self) -> AtlasShape | None:
        """The labels, ready for registrations."""
        return None if self.labels is None else AtlasShape(self.labels)

    @cached_property
    def hash(self) -> str:
        """Short hash of everything that locations depend on."""
        return _hash(self._content())

    @cached_property
    def shape_hash(self) -> str:
        """Short hash of what is carried to patients, wherever its landmarks are."""
        parts = ("kind", "size_mm", "coords", "labels")
        content = self._content()
        return _hash({part: content[part] for part in parts})

    def neighbours(self, count: int) -> Neighbours:
        """Return the candidates for the ``count`` nearest landmarks of each landmark.

        Distances are those in the atlas, in millimetres.
        """
        return nearest_landmarks(self.frame.to_patient(self.landmarks), count)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**self._content(), "source": self.source, "hash": self.hash}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Atlas:
        """Make an atlas from what :meth:`to_dict` gave.

        Raises
        ------
        ValueError
            If something in it was changed: locations would mean other places.
        """
        size, labels = data["size_mm"], data["labels"]
        atlas = cls(
            kind=data["kind"],
            size_mm=(float(size[0]), float(size[1]), float(size[2])),
            landmarks=np.array(data["landmarks"], dtype=np.float32).reshape(-1, 3),
            fraction=np.array(data["fraction"], dtype=np.float32),
            patch_mm=float(data["patch_mm"]),
            labels=None if labels is None else LabelMask.from_dict(labels),
            coords=data["coords"],
            source=data["source"],
        )
        if atlas.hash != data["hash"]:
            raise ValueError(f"the atlas is not the one its hash {data['hash']} names")
        return atlas

    def _content(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "size_mm": list(self.size_mm),
            "patch_mm": self.patch_mm,
            "coords": self.coords,
            "landmarks": np.round(self.landmarks.astype(float), 6).tolist(),
            "fraction": np.round(self.fraction.astype(float), 4).tolist(),
            "labels": None if self.labels is None else self.labels.to_dict(),
        }


def make_atlas(
    shape: LabelMask | tuple[float, float, float],
    *,
    kind: FrameKind,
    patch_mm: float,
    step_mm: float,
    least_fraction: float,
    at_most: int | None = None,
    coords: Coords = "affine",
    source: str = "default",
) -> Atlas:
    """Place landmarks where patches hold enough of a shape.

    The release's rule on centres: cells a step apart that cover the shape's box; more
    than ``least_fraction`` of a cell's patch must be inside. Where 1000 or more would
    be kept, the bar rises by 0.1 until fewer are.

    Parameters
    ----------
    shape
        Labels of any resolution and place, or the lengths (x, y, z) of a plain box.
    kind
        What the shape is.
    patch_mm, step_mm
        Side of a patch and distance of neighbouring landmarks.
    least_fraction
        A landmark's patch must hold more than this share.
    at_most
        Keep an even choice of this many.
    coords, source
        As in :class:`Atlas`.
    """
    labels = coarse_labels(shape) if isinstance(shape, LabelMask) else None
    if labels is not None:
        low, high = labels.bounds_mm()
        sides = [float(b - a) for a, b in zip(low, high, strict=True)]
    else:
        assert not isinstance(shape, LabelMask)
        sides = [float(side) for side in shape]
    axes = []
    for side in sides:
        count = max(1, int(np.ceil(side / step_mm - 1e-6)))
        axes.append((np.arange(count) - (count - 1) / 2) * step_mm)
    centres = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    fraction = np.ones(len(centres))
    if labels is not None:
        fraction = share_in_boxes(labels, centres, patch_mm)
    keep = _kept(fraction, least_fraction)
    if at_most is not None and len(keep) > at_most:
        keep = keep[np.linspace(0, len(keep) - 1, at_most).round().astype(int)]
    return Atlas(
        kind=kind,
        size_mm=(sides[0], sides[1], sides[2]),
        landmarks=(centres[keep] / np.array(sides) * 2).astype(np.float32),
        fraction=fraction[keep].astype(np.float32),
        # As JSON 32 and 32.0 differ, and with them the hash.
        patch_mm=float(patch_mm),
        labels=labels,
        coords=coords,
        source=source,
    )


def _hash(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _kept(fraction: NDArray[np.float64], least: float) -> NDArray[np.intp]:
    keep = np.flatnonzero(fraction > least)
    while len(keep) >= _MANY and least + _MORE < 1:
        least += _MORE
        keep = np.flatnonzero(fraction > least)
    return keep if len(keep) else np.array([int(fraction.argmax())])
