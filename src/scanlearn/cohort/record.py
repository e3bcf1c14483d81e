"""What a cohort knows of one scan: its sidecar."""

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from scanlearn.anatomy.frames import Frame
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Problem

Matrix = tuple[tuple[float, ...], ...]
Shape = tuple[int, int, int]


class Intensity(BaseModel):
    """What stored values mean: ``source = stored * scale + centre``.

    ``HU`` are Hounsfield units as they are; ``zscore`` counts robust standard
    deviations from the median of the foreground; ``unit`` runs from 0 to 1.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    units: Literal["HU", "zscore", "unit"]
    centre: float = 0.0
    scale: float = 1.0
    #: Value of what lies beyond the field of view.
    outside: float
    #: 1st, 50th and 99th percentile of the stored values.
    percentiles: tuple[float, float, float]


class ScanRecord(BaseModel):
    """One prepared scan; nothing in it tells who the patient is or where it came from.

    Grids are kept as a shape and an affine from array index to LPS millimetres.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    key: str
    patient: str
    modality: str
    body_part: str = ""
    kernel: str = ""
    manufacturer: str = ""
    contrast: bool = False
    slice_thickness_mm: float | None = None

    store: Literal["npy", "blosc2"]
    dtype: str
    shape: Shape
    spacing_mm: tuple[float, float, float]
    affine: Matrix
    intensity: Intensity

    source_shape: Shape
    source_affine: Matrix
    #: Keyed hash of every byte of the source files.
    source_hash: str
    #: Keyed hash of their sizes and times: unchanged, they are not read again.
    source_stamp: str
    #: Keyed hash of the voxels as read: equal for the same image in another file.
    voxel_hash: str
    #: Hash of the voxels as stored; empty where it was not kept.
    stored_hash: str = ""

    frame: Frame
    right_lung_ml: float | None = None
    left_lung_ml: float | None = None
    #: Keyed hash of the lung mask that was given; empty for a computed one.
    lungs_hash: str = ""
    checks: tuple[Problem, ...] = ()
    #: Why the scan is left out; empty when it is used.
    excluded: str = ""

    @property
    def grid(self) -> Grid:
        """Where the stored voxels are."""
        return Grid(self.shape, np.array(self.affine))

    @property
    def source_grid(self) -> Grid:
        """Where the voxels of the source were."""
        return Grid(self.source_shape, np.array(self.source_affine))

    @property
    def lung_volume_ml(self) -> float | None:
        """Volume of both lungs, where a mask was made."""
        if self.right_lung_ml is None or self.left_lung_ml is None:
            return None
        return self.right_lung_ml + self.left_lung_ml

    @property
    def is_radiograph(self) -> bool:
        """Whether this is a projection image, not a volume."""
        return self.shape[0] == 1


def matrix_of(grid: Grid) -> Matrix:
    """Return a grid's affine as nested tuples."""
    return tuple(tuple(float(x) for x in row) for row in grid.affine)
