"""Class maps over the lungs of whole scans, and how much of each part is what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from scanlearn.anatomy.densitometry import LAA_HU, Density, Lung, Part, lung_parts
from scanlearn.anatomy.lungs import LungMask, lung_mask
from scanlearn.config.palette import class_colour
from scanlearn.config.segmentation import ClassConfig
from scanlearn.errors import BadScan
from scanlearn.features.linear import LinearModel
from scanlearn.prediction.each_scan import Progress, Request, Tell, each_scan
from scanlearn.prediction.exports import refuse_impossible, write_extras
from scanlearn.prediction.representation.dense import DenseFeatures
from scanlearn.prediction.result_files import (
    Saving,
    densities_of,
    headline,
    kind_of_source,
    rounded,
    write_summary,
)
from scanlearn.prediction.summary import LOW, FoundClass
from scanlearn.prediction.uncertainty import (
    PROBABILITY_STEPS,
    entropy,
    write_uncertainty,
)
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.files.write_nifti import write_nifti, write_nifti_channels
from scanlearn.scans.geometry import Grid
from scanlearn.scans.resample import resample
from scanlearn.scans.scan import Scan, ScanEntry
from scanlearn.scans.tables.results import Cell, write_results
from scanlearn.tasks.texture.card import load_texture

_DENSITIES = (
    *("lung", "part", "volume_ml"),
    *("laa950_percent", "perc15_hu", "mean_hu"),
)


@dataclass(frozen=True, eq=False)
class TextureMap:
    """Texture classes of a scan's lungs, on the grid of its source.

    Parameters
    ----------
    labels
        uint8 class values, 0 outside the lungs.
    probabilities
        (1 + K, *shape) uint8 in steps of 1 / 255; first what is no lung.
    lungs
        The mask.
    classes
        Values and names.
    """

    labels: NDArray[np.uint8]
    probabilities: NDArray[np.uint8]
    lungs: LungMask
    classes: tuple[ClassConfig, ...]


def predict_textures(run: RunFolder, request: Request, tell: Tell) -> list[Path]:
    """Map the lungs of every scan of a request; see :func:`save_texture_map`."""
    describer, model, card = load_texture(run.path)

    def predict(scan: Scan, *, progress: Progress) -> TextureMap:
        lungs = _lungs_of(scan)
        there = describer.from_memory(scan)
        found = describer.everywhere(there, card.stride_mm, progress)
        return texture_map(found, model, lungs, scan.grid, card.classes)

    return each_scan(run, request, predict, save_texture_map, tell)


def texture_map(
    found: DenseFeatures,
    model: LinearModel,
    lungs: LungMask,
    grid: Grid,
    classes: tuple[ClassConfig, ...],
) -> TextureMap:
    """Classify a grid of places and carry the result to a scan's own grid.

    Places without enough lung take the probabilities of the nearest place that has it.
    """
    if not found.known.any():
        raise BadScan(
            "No place of the scan holds enough lung",
            expected="a chest CT",
            next_step="Look at the scan and its lung mask",
        )
    shares = np.zeros((len(classes), *found.grid.shape), np.float32)
    shares[:, found.known] = model.probabilities(found.features[:, found.known].T).T
    nearest = ndimage.distance_transform_edt(
        ~found.known, return_distances=False, return_indices=True
    )
    shares = shares[:, *nearest]
    mask = resample(lungs.mask, lungs.grid, grid, order=0, outside=0)
    inside = np.asarray(mask, dtype=bool)
    probabilities = np.zeros((1 + len(classes), *grid.shape), np.uint8)
    probabilities[0] = np.where(inside, 0, PROBABILITY_STEPS)
    # The outermost places lie inside the scan: beyond them their value goes on.
    padded, wide = _padded(shares, found.grid)
    for index, share in enumerate(padded, start=1):
        there = resample(share, wide, grid, order=1, outside=0.0)
        probabilities[index] = np.where(inside, np.rint(there * PROBABILITY_STEPS), 0)
    values = np.array([one.value for one in classes], np.uint8)
    chosen = values[probabilities[1:].argmax(axis=0)]
    return TextureMap(np.where(inside, chosen, 0), probabilities, lungs, classes)


def save_texture_map(
    result: TextureMap, scan: Scan, entry: ScanEntry | None, to: Saving
) -> Path:
    """Write labels, probabilities, the table of parts and a summary.

    ``NAME_uncertainty.nii.gz`` is the entropy of the classes, 0 outside the lungs.
    ``NAME_laa950.nii.gz`` marks the lung below -950 HU. ``NAME_subtypes.csv`` has the
    densities of each lung and third and beside them the percent of each class. A
    cohort's scan has no densities: its voxels were resampled.
    """
    source = kind_of_source(entry)
    refuse_impossible([*to.extras], source)
    labels, probabilities = to.path("labels.nii.gz"), to.path("probabilities.nii.gz")
    write_nifti(labels, result.labels, scan.grid)
    step = 1 / PROBABILITY_STEPS
    write_nifti_channels(probabilities, result.probabilities, scan.grid, step=step)
    # Whether there is lung is not in question here.
    unsure = write_uncertainty(to, entropy(result.probabilities[1:]), scan.grid)
    densities, cautions = densities_of(scan, result.lungs if entry else None)
    low: dict[str, Any] = {}
    if densities:
        emptied = (np.asarray(scan.voxels) < LAA_HU) & (result.labels > 0)
        low["laa950"] = to.path("laa950.nii.gz").name
        write_nifti(
            to.folder / low["laa950"], emptied.astype(np.uint8) * LOW, scan.grid
        )
    parts = fractions(result, scan)
    table = to.path("subtypes.csv")
    columns = [f"{one.name}_percent" for one in result.classes]
    rows = _rows(parts, densities, columns, " ".join(cautions))
    write_results(table, [*_DENSITIES, *columns, "caution"], rows)
    classes = [
        FoundClass(one.value, one.name, _ml(result.labels, one.value, scan.grid))
        for one in result.classes
    ]
    return write_summary(
        to,
        task="texture",
        source=source,
        grid=scan.grid,
        tables=[table],
        facts={
            "labels": labels.name,
            "probabilities": probabilities.name,
            "uncertainty": unsure.name,
            **low,
            **write_extras(to, result.labels, scan, scan.grid, entry, classes),
            "classes": [
                vars(one) | {"colour": class_colour(one.value)} for one in classes
            ],
            "parts": rows,
            "lungs": headline(densities),
            "cautions": cautions,
        },
    )


def fractions(
    result: TextureMap, scan: Scan
) -> dict[tuple[Lung, Part], list[float | None]]:
    """Return the percent of each class in each lung and third; None without lung."""
    values, parts = lung_parts(result.labels, scan.grid, result.lungs)
    return {
        part: [
            100 * float((values[inside] == one.value).mean()) if inside.any() else None
            for one in result.classes
        ]
        for part, inside in parts
    }


def _rows(
    parts: dict[tuple[Lung, Part], list[float | None]],
    densities: Sequence[Density],
    columns: Sequence[str],
    caution: str,
) -> list[dict[str, Cell]]:
    measured = {(row.lung, row.part): rounded(row) for row in densities}
    rows: list[dict[str, Cell]] = []
    for (lung, part), shares in parts.items():
        row: dict[str, Any] = dict.fromkeys(_DENSITIES)
        row |= {"lung": lung, "part": part} | measured.get((lung, part), {})
        percent = [None if share is None else round(share, 2) for share in shares]
        row |= dict(zip(columns, percent, strict=True))
        rows.append(row | {"caution": caution})
    return rows


def _lungs_of(scan: Scan) -> LungMask:
    if scan.acquisition.units != "HU" or scan.is_radiograph:
        raise BadScan(
            "Texture is mapped over the lungs of a chest CT",
            expected="a volume in Hounsfield units",
            next_step="Choose a chest CT",
        )
    return lung_mask(scan.canonical())


def _padded(shares: NDArray[np.float32], grid: Grid) -> tuple[Any, Grid]:
    """Return a map one place wider on every side, with the border's values."""
    wide = np.pad(shares, ((0, 0), (1, 1), (1, 1), (1, 1)), mode="edge")
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_patient(np.array([-1.0, -1.0, -1.0]))
    shape = wide.shape[1:]
    return wide, Grid((shape[0], shape[1], shape[2]), affine)


def _ml(labels: NDArray[np.uint8], value: int, grid: Grid) -> float:
    return round(float(np.count_nonzero(labels == value)) * grid.voxel_ml, 3)
