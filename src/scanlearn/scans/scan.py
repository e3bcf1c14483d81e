"""A scan in memory, and what a folder listing knows of one before it is read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scanlearn.scans.formats import Kind
from scanlearn.scans.geometry import Grid, canonical_grid, to_canonical_axes

Severity = Literal["note", "warning", "error"]
Units = Literal["HU", "arbitrary"]

#: Modalities whose images are sections: one slice of them is no radiograph.
SECTIONS = ("CT", "MR", "PT", "NM")


def is_projection(shape: Sequence[int], modality: str) -> bool:
    """Whether an image of this shape and modality is a radiograph, not a volume."""
    return shape[0] == 1 and modality not in SECTIONS


@dataclass(frozen=True)
class Problem:
    """One thing a check found in a scan."""

    code: str
    severity: Severity
    text: str
    action: str = ""


#: Code of the problem that a file does not say how large its pixels are.
NO_SPACING = "no_spacing"


def has_scale(problems: Sequence[Problem]) -> bool:
    """Whether a scan's millimetres are its file's, not assumed."""
    return all(problem.code != NO_SPACING for problem in problems)


def choose_volume(volumes: int) -> str:
    """Return how another volume, or page, of a file with several is chosen."""
    return (
        "Choose another in the Scans dock, with 'scanlearn convert --volume', or in a "
        f"table with the column volume: 0 to {volumes - 1}"
    )


def several_volumes(
    path: Path, shape: Sequence[int], volumes: int, chosen: int | None = None
) -> list[Problem]:
    """Return what is told of a file with several volumes, unless one was chosen.

    Parameters
    ----------
    path
        Of the file.
    shape
        Of one volume.
    volumes
        How many there are; nothing is told of one.
    chosen
        The volume that was asked for.
    """
    if volumes <= 1 or chosen is not None:
        return []
    text = f"{path.name} holds {volumes} volumes; the first is read"
    action = choose_volume(volumes)
    if min(shape) == 1:
        text = (
            f"{path.name} holds {volumes} volumes of one slice each; the first is read"
        )
        action = (
            "If they are the slices of one volume, put them along the third dimension "
            f"with the program that wrote the file. {action}"
        )
    return [Problem("4d", "warning", text, action)]


@dataclass(frozen=True)
class Acquisition:
    """How a scan was made, as far as the file says; no identity of the patient.

    ``letters`` are of a radiograph, whose grid knows no patient: the sides that its
    rows and its columns run to, of L, R, A, P, S, I.
    """

    modality: str = "OT"
    units: Units = "arbitrary"
    description: str = ""
    body_part: str = ""
    kernel: str = ""
    slice_thickness_mm: float | None = None
    contrast: str = ""
    manufacturer: str = ""
    letters: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Scan:
    """A volume or radiograph with its geometry.

    Parameters
    ----------
    voxels
        Array of shape ``grid.shape``; Hounsfield units where ``units`` is ``"HU"``.
        A radiograph has one voxel along its first axis.
    grid
        Where the voxels are in patient space.
    acquisition
        Modality, units and the like.
    patient
        The identity found in the file. Private: it leaves memory only as a salted key.
    problems
        What the reader found.
    """

    voxels: NDArray[np.generic]
    grid: Grid
    acquisition: Acquisition = field(default_factory=Acquisition)
    patient: str = ""
    problems: tuple[Problem, ...] = ()

    def __post_init__(self) -> None:
        if self.voxels.shape != self.grid.shape:
            raise ValueError(
                f"voxels {self.voxels.shape} do not fill the grid {self.grid.shape}"
            )

    @property
    def is_radiograph(self) -> bool:
        """Whether this is a projection image, not a volume."""
        return is_projection(self.grid.shape, self.acquisition.modality)

    def canonical(self) -> Scan:
        """Return the scan on the axis-aligned (S, P, L) grid that is shown and trained.

        Array axes are turned without touching a value; only an oblique scan is
        resampled.
        """
        from scanlearn.scans.resample import resample

        voxels, grid = to_canonical_axes(self.voxels, self.grid)
        if not grid.is_canonical and not self.is_radiograph:
            target = canonical_grid(grid)
            outside = -1024.0 if self.acquisition.units == "HU" else float(voxels.min())
            voxels = resample(voxels, grid, target, order=1, outside=outside)
            grid = target
        return Scan(voxels, grid, self.acquisition, self.patient, self.problems)


@dataclass(frozen=True)
class ScanEntry:
    """One scan found in a file or folder, read no further than its headers.

    ``files`` holds the file or the slices in order; ``series_uid`` tells series of one
    folder apart; ``volume`` chooses one volume of a 4D file. Where DICOM files hold
    several slices, ``frames`` names those of the scan: (number of the file, frame).
    ``error`` is set when the entry cannot be read as a scan and says why. ``identity``
    tells the patient where a table or the file's name does, in place of ``patient``,
    which the file states.
    """

    path: Path
    kind: Kind
    files: tuple[Path, ...]
    acquisition: Acquisition
    shape: tuple[int, ...]
    spacing_mm: tuple[float, ...]
    orientation: str
    patient: str = ""
    identity: str = ""
    series_uid: str = ""
    volume: int | None = None
    problems: tuple[Problem, ...] = ()
    error: str = ""
    frames: tuple[tuple[int, int], ...] = ()
