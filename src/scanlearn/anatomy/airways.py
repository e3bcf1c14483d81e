"""The trachea and main bronchi: air in the chest that is not lung."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scanlearn.anatomy.morphology import IN_SLICE, Mask

#: A trachea in an axial slice, in mm2 and in mm from the middle of the body.
_AREA_MM2 = (40.0, 900.0)
_OFF_MIDDLE_MM = 50.0

#: Two thirds of a round shape's box are full; a fold of lung fills less of it.
_LEAST_FULL = 0.5

#: Growing stops before the tree holds more than this: then it has leaked into lung.
_MOST_ML = 90.0

#: Highest Hounsfield units tried for air in the tree; partial volumes raise its walls.
_CEILINGS_HU = (-980, -960, -940, -920, -900, -880, -860, -840)


def airway_mask(
    hu: NDArray[np.floating], air: Mask, *, spacing_mm: float
) -> NDArray[np.bool_]:
    """Find the trachea and the bronchi that are as dark as it.

    A seed is a small round dark region near the middle in the upper slices that has a
    like one below it. From there the tree grows under the highest ceiling that does not
    leak into the lungs.

    Parameters
    ----------
    hu
        (S, P, L) Hounsfield units.
    air
        Air inside the body.
    spacing_mm
        Of the isotropic grid.
    """
    seed = _trachea_seed(hu, air, spacing_mm)
    nothing = np.zeros(air.shape, dtype=bool)
    if seed is None:
        return nothing
    most = _MOST_ML * 1000 / spacing_mm**3
    low, high = 0, len(_CEILINGS_HU)
    best = nothing
    while low < high:
        middle = (low + high) // 2
        tree = _component(air & (hu < _CEILINGS_HU[middle]), seed)
        if np.count_nonzero(tree) > most:
            high = middle
        else:
            best, low = tree, middle + 1
    return best


def _component(mask: Mask, seed: NDArray[np.intp]) -> Mask:
    regions, _ = ndimage.label(mask)
    hit = regions[tuple(seed.T)]
    numbers = np.unique(hit[hit > 0])
    return np.asarray(np.isin(regions, numbers)) if numbers.size else regions > 0


def _trachea_seed(
    hu: NDArray[np.floating], air: Mask, spacing_mm: float
) -> NDArray[np.intp] | None:
    """Return the (n, 3) centres of the longest chain of round dark regions."""
    dark = air & (hu < -850)
    upper = slice(air.shape[0] // 3, None)
    regions, n = ndimage.label(dark[upper], IN_SLICE)
    if n == 0:
        return None
    area = np.bincount(regions.ravel(), minlength=n + 1) * spacing_mm**2
    boxes = ndimage.find_objects(regions)
    body_middle = _middle(air)
    found: list[tuple[int, float, float]] = []
    for number in np.flatnonzero((area > _AREA_MM2[0]) & (area < _AREA_MM2[1])):
        if number == 0:
            continue
        box = boxes[number - 1]
        sides = np.array([s.stop - s.start for s in box[1:]])
        full = area[number] / spacing_mm**2 / sides.prod()
        centre = np.array([(s.start + s.stop - 1) / 2 for s in box[1:]])
        near = abs(centre[1] - body_middle) * spacing_mm < _OFF_MIDDLE_MM
        if full >= _LEAST_FULL and sides.max() <= 2.5 * sides.min() and near:
            found.append((box[0].start + upper.start, *centre))
    return _longest_chain(np.array(found), spacing_mm) if found else None


def _longest_chain(
    found: NDArray[np.float64], spacing_mm: float
) -> NDArray[np.intp] | None:
    """Join regions of neighbouring slices that lie within 8 mm of each other."""
    chains: list[list[NDArray[np.float64]]] = []
    for centre in found[np.argsort(found[:, 0], kind="stable")]:
        for chain in chains:
            step = centre - chain[-1]
            if 0 < step[0] <= 2 and np.hypot(*step[1:]) * spacing_mm <= 8:
                chain.append(centre)
                break
        else:
            chains.append([centre])
    longest = max(chains, key=len)
    # Less than 2 cm of a round dark shape may be anything.
    if len(longest) * spacing_mm < 20:
        return None
    return np.rint(np.array(longest)).astype(np.intp)


def _middle(air: Mask) -> float:
    """Return the left-right middle of the air in the chest, as an index."""
    hits = np.flatnonzero(air.any(axis=(0, 1)))
    return float(hits[0] + hits[-1]) / 2
