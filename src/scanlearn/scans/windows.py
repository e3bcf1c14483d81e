"""Grey-value windows: what of a scan's values is shown."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.scans.scan import Scan

#: Centre and width of the usual CT windows, in Hounsfield units.
WINDOWS: dict[str, tuple[float, float]] = {
    "lung": (-600.0, 1500.0),
    "emphysema": (-850.0, 300.0),
    "mediastinum": (40.0, 400.0),
    "abdomen": (50.0, 350.0),
    "liver": (80.0, 150.0),
    "brain": (40.0, 80.0),
    "bone": (400.0, 1800.0),
    "whole range": (0.0, 2000.0),
}

#: Values of lung in a CT; a scan with enough of them opens in the lung window.
_LUNG_HU = (-950.0, -600.0)
_LUNG_FRACTION = 0.03
_SAMPLES = 200_000


def window_range(name: str) -> tuple[float, float]:
    """Return (low, high) of a named CT window."""
    centre, width = WINDOWS[name]
    return centre - width / 2, centre + width / 2


def suggested_window(scan: Scan) -> str:
    """Return the name of the window a scan opens with; empty for other than CT."""
    if scan.acquisition.units != "HU":
        return ""
    values = _sample(scan.voxels)
    in_lung = (values > _LUNG_HU[0]) & (values < _LUNG_HU[1])
    return "lung" if in_lung.mean() > _LUNG_FRACTION else "mediastinum"


def display_range(scan: Scan) -> tuple[float, float]:
    """Return the (low, high) values a scan is shown with.

    A CT opens in the lung window if it holds lung, else in the mediastinum window; all
    else between its 1st and 99.5th percentile.
    """
    name = suggested_window(scan)
    if name:
        return window_range(name)
    values = _sample(scan.voxels)
    low, high = (float(v) for v in np.percentile(values, (1.0, 99.5)))
    if high > low:
        return low, high
    low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else (low, low + 1.0)


def _sample(voxels: NDArray[np.generic]) -> NDArray[Any]:
    """Return evenly spread voxels, at most some hundred thousand."""
    step = max(1, round((voxels.size / _SAMPLES) ** (1 / 3)))
    strides = tuple(slice(None, None, step if n > step else 1) for n in voxels.shape)
    return np.asarray(voxels[strides]).ravel()
