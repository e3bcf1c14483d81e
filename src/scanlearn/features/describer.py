"""What describes places and scans by numbers: one small interface for all encoders."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from scanlearn.encoders.encoder_file import CARD, WEIGHTS
from scanlearn.prediction.each_scan import Progress
from scanlearn.prediction.representation.dense import DenseFeatures
from scanlearn.prediction.representation.encoder_scans import EncoderScan
from scanlearn.runs.events import Event
from scanlearn.scans.scan import Scan

Floats = NDArray[np.float32]
Points = Sequence[tuple[float, float, float] | None]

#: Who describes: an encoder of patches or of slices, or none.
Features = Literal["patches", "slices", "handmade"]

#: Places described together.
BATCH = 64


class Describer(Protocol):
    """Describes places of scans by numbers.

    Attributes
    ----------
    penalty
        Inverse strength of the ridge penalty that suits its numbers.
    """

    penalty: float

    def from_cohort(
        self, path: Path, keys: Collection[str], told: list[Event]
    ) -> Iterator[EncoderScan]:
        """Yield the named scans of a cohort that it can describe."""
        ...

    def from_memory(self, scan: Scan) -> EncoderScan:
        """Return a scan that was read, prepared as its cohort was."""
        ...

    def at(self, scan: EncoderScan, points: Points) -> Floats:
        """Describe places (n, d); None is all of a patch."""
        ...

    def everywhere(
        self, scan: EncoderScan, stride_mm: float, progress: Progress
    ) -> DenseFeatures:
        """Describe the places of a regular grid over the lungs."""
        ...

    def whole(self, scan: EncoderScan) -> Floats:
        """Describe a whole scan (d,)."""
        ...

    def save(self, folder: Path) -> None:
        """Copy what it needs into a run's ``checkpoints/``."""
        ...


def copy_encoder(run: Path, folder: Path) -> None:
    """Copy a run's encoder into another run's ``checkpoints/``."""
    for name in (WEIGHTS, CARD):
        shutil.copyfile(run / "checkpoints" / name, folder / name)
