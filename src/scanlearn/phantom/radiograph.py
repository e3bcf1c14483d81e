"""A chest radiograph phantom: X-rays sent through the CT phantom from front to back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from scanlearn.phantom.chest import Disease, Phantom, make_chest
from scanlearn.phantom.shapes import Floats

#: Voxels of the projected volume (S, P, L): depth is summed, so it may be coarse.
_SPACING_MM = (1.5, 3.0, 1.5)
_WATER_PER_MM = 0.019
_BONE_GAIN = 1.6
#: Photons that reach a pixel without a patient.
_PHOTONS = 4e5
_WHITE = 4095


class Box(NamedTuple):
    """A rectangle in pixels: the corner nearest the first pixel, and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, eq=False)
class Radiograph:
    """A frontal chest radiograph with its ground truth.

    ``pixels`` (rows, columns) run from head to foot and from the patient's right to the
    left, 12 bit, dense parts white. ``boxes`` hold the nodules.
    """

    pixels: NDArray[np.uint16]
    pixel_mm: float
    boxes: tuple[Box, ...]
    findings: tuple[str, ...]
    name: str
    seed: int

    @property
    def label(self) -> str:
        """``"abnormal"`` where there is a nodule or emphysema, else ``"normal"``."""
        return "abnormal" if self.findings else "normal"


def make_radiograph(
    seed: int, patient: int, *, disease: Disease | None = None
) -> Radiograph:
    """Make the radiograph of one patient; equal arguments give equal pixels."""
    phantom = make_chest(
        seed,
        patient,
        spacing_mm=_SPACING_MM,
        kernel="standard",
        dose="none",
        disease=disease,
    )
    rng = phantom.patient.generator("radiograph")
    return Radiograph(
        pixels=_exposed(_thickness(phantom), rng),
        pixel_mm=_SPACING_MM[0],
        boxes=_boxes(phantom),
        findings=_findings(phantom),
        name=phantom.name,
        seed=seed,
    )


def write_png(path: Path, radiograph: Radiograph) -> Path:
    """Write a radiograph as a 16-bit grey PNG that uses the full range."""
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(radiograph.pixels * np.uint16(16)).save(path)
    return path


def _thickness(phantom: Phantom) -> Floats:
    """Return the attenuation from front to back, rows from the head down."""
    hu = np.maximum(phantom.scan.voxels.astype(np.float32), -1000)
    # Calcium absorbs more at the energies of a radiograph than its HU say.
    density = 1 + hu / 1000 + np.maximum(hu - 100, 0) * np.float32(_BONE_GAIN / 1000)
    mu = _WATER_PER_MM * phantom.scan.grid.spacing_mm[1]
    return np.asarray(density.sum(axis=1)[::-1] * mu, np.float32)


def _exposed(attenuation: Floats, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Return the processed image of what reaches the detector (Beer and Lambert)."""
    photons = rng.poisson(_PHOTONS * np.exp(-attenuation.astype(np.float64)))
    seen = -np.log((photons + 1) / _PHOTONS)
    low, high = np.percentile(seen, [1, 99.5])
    grey = np.clip((seen - low) / (high - low), 0, 1)
    return np.asarray(np.rint(grey * _WHITE), np.uint16)


def _boxes(phantom: Phantom) -> tuple[Box, ...]:
    slice_mm, _, column_mm = phantom.scan.grid.spacing_mm
    last_row = phantom.scan.grid.shape[0] - 1
    boxes = []
    for nodule in phantom.nodules:
        k, _, column = phantom.scan.grid.to_index(nodule.centre_mm)
        width, height = nodule.diameter_mm / column_mm, nodule.diameter_mm / slice_mm
        # Pixel centres are whole numbers; the box reaches from edge to edge.
        left, top = column - width / 2, last_row - k - height / 2
        boxes.append(Box(float(left), float(top), width, height))
    return tuple(boxes)


def _findings(phantom: Phantom) -> tuple[str, ...]:
    found = ["nodule"] if phantom.nodules else []
    if phantom.emphysema.subtype != "none":
        found.append("emphysema")
    return tuple(found)
