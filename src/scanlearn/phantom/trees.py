"""Branching trees that fill the lungs: arteries, veins and the airways beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scanlearn.phantom.boxes import Axes
from scanlearn.phantom.patient import Patient, Points
from scanlearn.phantom.shapes import Floats
from scanlearn.scans.geometry import Grid

#: How far each branch goes towards the middle of what it feeds.
_REACH = 0.42
#: Murray's law: flow grows as this power of the radius.
_MURRAY = 3.0
#: Lung is fed in pieces of about this many targets by an airway that still shows.
_AIRWAY_LEAVES = 14
#: An airway that feeds fewer twigs does not leave the lung.
_OUTSIDE_LEAVES = 250
#: Twigs of the arteries and of the veins in one lung, and their radius.
_ARTERIES, _VEINS = 1100, 700
_TWIG_MM = 0.6
#: How much of an airway's radius is air; the rest is its wall.
LUMEN_OF_RADIUS = 0.76

_ARTERY_ROOTS = ((-34.0, 9.0, 28.0), (40.0, 20.0, 36.0))
_VEIN_ROOTS = ((-26.0, 14.0, 2.0), (30.0, 17.0, 6.0))
_BRONCHUS_ROOTS = ((-36.0, 17.0, 22.0), (42.0, 25.0, 22.0))
_TRACHEA = ((-3.0, 8.0, 172.0, 9.2), (-3.0, 22.0, 40.0, 9.0))
_BRONCHUS_MM = 6.6


class Branches(NamedTuple):
    """Tapered segments in LPS mm: (n, 3) starts, ends, (n,) radii, leaves fed."""

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    start_mm: NDArray[np.float64]
    end_mm: NDArray[np.float64]
    leaves: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LungTrees:
    """Everything that branches in a patient's lungs."""

    vessels: Branches
    airways: Branches

    def airways_outside(self) -> Branches:
        """Return the airways that may leave the lungs: down to the main bronchi."""
        big = self.airways.leaves >= _OUTSIDE_LEAVES
        return _chosen(self.airways, big)


def grow(root: Points, targets: Points, *, leaf_mm: float) -> Branches:
    """Grow a tree from a root so that one twig reaches every target.

    A branch runs part of the way to the middle of the targets it feeds, then the
    targets are split across their longest direction. Radii follow Murray's law.
    """
    rows: list[tuple[Points, Points, float, float, int]] = []
    radius = leaf_mm * len(targets) ** (1 / _MURRAY)
    todo = [(np.asarray(root, float), np.arange(len(targets)), radius)]
    while todo:
        node, fed, before = todo.pop()
        cloud = targets[fed]
        middle = cloud.mean(axis=0)
        end = node + (_REACH if len(fed) > 1 else 1.0) * (middle - node)
        radius = leaf_mm * len(fed) ** (1 / _MURRAY)
        rows.append((node, end, before, radius, len(fed)))
        if len(fed) > 1:
            left = _split(cloud - middle, end - node)
            todo += [(end, fed[left], radius), (end, fed[~left], radius)]
    start, ends, start_mm, end_mm, leaves = zip(*rows, strict=True)
    return Branches(
        np.array(start),
        np.array(ends),
        np.array(start_mm),
        np.array(end_mm),
        np.array(leaves),
    )


def grow_lungs(patient: Patient, points: Points, depth: Points) -> LungTrees:
    """Grow the vessels and airways of a patient through points inside its lungs."""
    right = patient.place_points(points).x < 0
    deep = depth > 2.5
    vessels: list[Branches] = []
    airways = [_trunk(patient)]
    for side, inside in enumerate((right & deep, ~right & deep)):
        lung = points[inside]
        arteries, veins = lung[:_ARTERIES], lung[_ARTERIES : _ARTERIES + _VEINS]
        roots = patient.to_patient([_ARTERY_ROOTS[side], _VEIN_ROOTS[side]])
        supply = grow(roots[0], arteries, leaf_mm=_TWIG_MM)
        vessels += [supply, grow(roots[1], veins, leaf_mm=_TWIG_MM)]
        airways.append(_airways_beside(patient, supply, side))
    return LungTrees(_joined(vessels), _joined(airways))


def tree_parts(
    branches: Branches, grid: Grid, *, edge_mm: float, shrink: float = 1.0
) -> Floats:
    """Return the part of each voxel inside a tree; thinner than a voxel is fainter."""
    part = np.zeros(grid.shape, np.float32)
    axes = Axes.of(grid)
    for start, end, a, b in zip(
        branches.start, branches.end, branches.start_mm, branches.end_mm, strict=True
    ):
        _paint_branch(part, axes, (start, end, a * shrink, b * shrink), edge_mm)
    return part


def _split(cloud: Points, heading: Points) -> NDArray[np.bool_]:
    """Split points into two halves by a plane that contains the heading."""
    heading = heading / (np.linalg.norm(heading) + 1e-9)
    flat = cloud - np.outer(cloud @ heading, heading)
    _, vectors = np.linalg.eigh(flat.T @ flat)
    along = flat @ vectors[:, -1]
    left = along < 0
    if left.all() or not left.any():  # only when all points lie on the heading
        left = np.arange(len(cloud)) % 2 == 0
    return np.asarray(left, bool)


def _trunk(patient: Patient) -> Branches:
    """Return the windpipe and the two main bronchi."""
    (top, fork), ends = _TRACHEA, _BRONCHUS_ROOTS
    points = patient.to_patient([top[:3], fork[:3], *ends])
    fork_at = points[1]
    return Branches(
        np.array([points[0], fork_at, fork_at]),
        points[1:],
        np.array([top[3], 8.0, 7.4]),
        np.array([fork[3], _BRONCHUS_MM, _BRONCHUS_MM]),
        np.full(3, _ARTERIES),
    )


def _airways_beside(patient: Patient, supply: Branches, side: int) -> Branches:
    """Return airways that run along the arteries, from the main bronchus on."""
    big = _chosen(supply, supply.leaves >= _AIRWAY_LEAVES)
    root = patient.to_patient([_BRONCHUS_ROOTS[side]])[0]
    away = np.array([0.35 if side == 0 else -0.35, 0.75, -0.55])
    away /= np.linalg.norm(away)
    # A bronchus is about as wide as the artery it runs with.
    start_mm, end_mm = big.start_mm * 0.95, big.end_mm * 0.95
    start = big.start + away * (2.1 * start_mm[:, None] + 0.4)
    end = big.end + away * (2.1 * end_mm[:, None] + 0.4)
    first = int(big.leaves.argmax())
    start[first] = root
    start_mm[first] = _BRONCHUS_MM
    return Branches(start, end, start_mm, end_mm, big.leaves)


def _chosen(branches: Branches, which: NDArray[np.bool_]) -> Branches:
    return Branches(
        branches.start[which],
        branches.end[which],
        branches.start_mm[which],
        branches.end_mm[which],
        branches.leaves[which],
    )


def _joined(several: list[Branches]) -> Branches:
    return Branches(*(np.concatenate(column) for column in zip(*several, strict=True)))


def _paint_branch(
    part: Floats,
    axes: Axes,
    branch: tuple[Points, Points, float, float],
    edge_mm: float,
) -> None:
    start, end, a, b = branch
    reach = max(a, b) + edge_mm / 2
    box = axes.box(np.minimum(start, end) - reach, np.maximum(start, end) + reach)
    if box is None:
        return
    x, y, z = axes.offsets(box, start)
    run = np.asarray(end - start, np.float32)
    along = (x * run[0] + y * run[1] + z * run[2]) / max(float(run @ run), 1e-6)
    along = np.clip(along, 0, 1, out=along)
    gap = (x - along * run[0]) ** 2
    gap += (y - along * run[1]) ** 2
    gap += (z - along * run[2]) ** 2
    radius = np.float32(a) + along * np.float32(b - a)
    inside = (radius - np.sqrt(gap)) * np.float32(1 / edge_mm) + np.float32(0.5)
    part_there = np.clip(inside, 0, 1) * _share_of_blur(radius / np.float32(edge_mm))
    np.maximum(part[box], part_there, out=part[box])


def _share_of_blur(radius: Floats) -> Floats:
    """Return the area of a disc over that of its blurred picture; radius in blurs.

    So a tube thinner than a voxel keeps its volume and becomes fainter, not wider.
    """
    wide = radius * radius + np.float32(1 / 12)
    thin = (radius + np.float32(0.5)) ** 3 * np.float32(1 / 3)
    return np.asarray(radius * radius / np.where(radius < 0.5, thin, wide), np.float32)
