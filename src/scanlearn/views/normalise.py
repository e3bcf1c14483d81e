"""From stored intensities to what the networks see.

Both methods are specified in Hounsfield units shifted to start at zero: x = HU + 1024
in [0, 1264]; views act there, and x / 632 - 1 enters the network. Other modalities are
stored as robust z-scores or between 0 and 1, and are mapped onto the same interval.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor

Units = Literal["HU", "zscore", "unit"]

#: Air and the densest tissue the methods look at, in HU.
AIR_HU = -1024.0
TOP_HU = 240.0

#: z-scores beyond this are cut.
TOP_Z = 5.0

_SPAN = TOP_HU - AIR_HU


def shifted(x: Tensor, units: Units) -> Tensor:
    """Map stored intensities to the interval [0, 1264]."""
    if units == "HU":
        return x.clamp(AIR_HU, TOP_HU) - AIR_HU
    if units == "unit":
        return x.clamp(0, 1) * _SPAN
    return (x.clamp(-TOP_Z, TOP_Z) + TOP_Z) * (_SPAN / (2 * TOP_Z))


def normalised(x: Tensor) -> Tensor:
    """Map the shifted interval to [-1, 1], as the networks take it."""
    return x / (_SPAN / 2) - 1


def normalise_(x: Tensor) -> Tensor:
    """Do the same in place."""
    return x.mul_(2 / _SPAN).sub_(1)


def knee_of(hu: float | None, units: Units) -> float | None:
    """Return where a knee in HU lies for the network; nowhere if it sees no HU."""
    if hu is None or units != "HU":
        return None
    return (hu - AIR_HU) / (_SPAN / 2) - 1
