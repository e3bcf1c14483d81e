"""A radiograph in memory, prepared exactly as the cohort of a training was prepared."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.intensity import normalised as as_stored
from scanlearn.cohort.preparation.prepare_one import stored_units
from scanlearn.cohort.ready_scan import ready_scan
from scanlearn.cohort.record import Intensity
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadScan
from scanlearn.prediction.ready_volume import wrong_units
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Scan
from scanlearn.views.normalise import Units


@dataclass(frozen=True, eq=False)
class ReadyImage:
    """What a network in two dimensions is given of a radiograph.

    Parameters
    ----------
    stored
        (1, H, W) intensities as a cohort stores them.
    intensity
        What they mean.
    grid
        Where the pixels are.
    """

    stored: NDArray[np.generic]
    intensity: Intensity
    grid: Grid


def ready_image(scan: Scan, *, units: Units, size: int) -> ReadyImage:
    """Prepare a single image for a network.

    Parameters
    ----------
    scan
        As it was read.
    units
        What the intensities of the training images meant.
    size
        Pixels along the long side of the training cohort's images.

    Raises
    ------
    BadScan
        If the scan is a volume or of another kind.
    """
    if not scan.is_radiograph:
        raise BadScan(
            "This is a volume or a section of one, the model was trained on "
            "radiographs",
            expected="a radiograph or another single picture",
            next_step="Choose another scan or another model",
        )
    found = stored_units(scan)
    if found != units:
        raise wrong_units(found, units)
    ready = ready_scan(scan, PrepareConfig(radiograph_size=size))
    stored, intensity = as_stored(ready.voxels, units)
    return ReadyImage(stored, intensity, ready.grid)
