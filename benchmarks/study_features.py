"""What the arms of ``phantom_study.py`` know of each patient: vectors, one a scan."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from scanlearn.anatomy.landmarks import Atlas
from scanlearn.cohort.atlas.atlas_on_scans import place_cohorts
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.drasclr import LandmarkConfig
from scanlearn.encoders.patch_places import patch_start
from scanlearn.prediction.representation.embedding import Embedder
from scanlearn.prediction.representation.encoder_scans import cohort_scans

Floats = NDArray[np.float64]
Vectors = dict[str, Floats]

_EMPHYSEMA_HU, _PERCENTILE = -950, 15

#: Gaussian that quiets the noise of a sharp kernel before the threshold, in voxels.
_SMOOTH = 0.8

#: Landmarks and the side of their cubes (in 2 mm voxels) for densities by place.
_LANDMARKS, _SIDE = LandmarkConfig(at_most=64, coords="bbox"), 16

#: Bins of the histogram of a lung, in HU: from air to where vessels begin.
_BINS = np.arange(-1040.0, -540.0, 20.0)

#: A cube with fewer lung voxels than this has no histogram of its own.
_FEW = 50


def names_of(cohort: Path) -> list[str]:
    """Return the phantom of each scan, in the order of the vectors: its file's name."""
    cohorts = WorkingCohorts([cohort], None)
    sources = cohorts.cohorts[0].sources()
    return [Path(sources[s.key].path).name.split(".")[0] for s in cohorts.scans]


def encoder_vectors(run: Path, cohort: Path) -> tuple[Vectors, Floats]:
    """Return frozen features of a run's encoder: pooled by patient, and (N, P, d)."""
    embedder = Embedder(run, precision="auto")
    rows = embedder.scans(cohort_scans(cohort, embedder.card, tell=print))
    pooled = {
        "mean": np.stack([row.pooled("mean") for row in rows]),
        "mean + s.d. by lung": np.stack([row.pooled("lungs") for row in rows]),
    }
    return pooled, np.stack([row.vectors for row in rows]).astype(np.float64)


def patch_densities(cohort: Path) -> Floats:
    """Return Perc15 of the lung in each landmark's patch, smoothed, (N, P)."""
    return density_vectors(cohort)["64 landmarks, smoothed"][:, 1::2]


@functools.cache
def density_vectors(cohort: Path) -> Vectors:
    """Return LAA-950 and Perc15 of the lungs: as they are, smoothed, by place."""
    placed = place_cohorts(WorkingCohorts([cohort], None), _LANDMARKS)
    cohorts, atlas = placed.cohorts, placed.atlas
    plain, smooth, local = [], [], []
    for scan in range(len(cohorts.scans)):
        hu, mask = _voxels_and_mask(cohorts, scan)
        quiet = gaussian_filter(hu.astype(np.float32), _SMOOTH)
        plain.append(_density(hu[mask]))
        smooth.append(_density(quiet[mask]))
        cubes = _cubes(cohorts, scan, atlas)
        parts = [quiet[cube][mask[cube]] for cube in cubes]
        rows = [_density(p) if len(p) >= _FEW else smooth[-1] for p in parts]
        local.append(np.concatenate(rows))
    return {
        "lungs": np.stack(plain),
        "lungs, smoothed": np.stack(smooth),
        "64 landmarks, smoothed": np.stack(local),
    }


@functools.cache
def histogram_vectors(cohort: Path) -> Vectors:
    """Return the smoothed histogram of the lungs, as square roots of shares."""
    cohorts = WorkingCohorts([cohort], None)
    rows = []
    for number in range(len(cohorts.scans)):
        hu, mask = _voxels_and_mask(cohorts, number)
        quiet = gaussian_filter(hu.astype(np.float32), _SMOOTH)[mask]
        rows.append(np.histogram(np.clip(quiet, _BINS[0], _BINS[-1]), _BINS)[0])
    counts = np.stack(rows).astype(np.float64)
    return {"lungs, smoothed": np.sqrt(counts / counts.sum(axis=1, keepdims=True))}


@functools.cache
def nuisance_vectors(cohort: Path) -> Vectors:
    """Return what should say nothing of the disease: noise and the lungs' size."""
    cohorts = WorkingCohorts([cohort], None)
    rows = []
    for number, scan in enumerate(cohorts.scans):
        hu, mask = _voxels_and_mask(cohorts, number)
        flat = hu[(hu > 20) & (hu < 110) & ~mask]  # muscle and blood
        rows.append([flat.std(), flat.mean(), *scan.frame.size_mm, mask.sum()])
    return {"lungs": np.array(rows, dtype=np.float64)}


def _density(hu: NDArray[np.generic]) -> Floats:
    low = 100 * float((hu < _EMPHYSEMA_HU).mean())
    return np.array([low, float(np.percentile(hu, _PERCENTILE))])


def _voxels_and_mask(
    cohorts: WorkingCohorts, number: int
) -> tuple[NDArray[np.generic], NDArray[np.bool_]]:
    scan = cohorts.scans[number]
    hu = np.asarray(cohorts.cohorts[scan.cohort].voxels(scan.key))
    found = cohorts.cohorts[scan.cohort].lungs(scan.key)
    if found is None or found[0].shape != hu.shape:
        raise SystemExit(f"{scan.key} has no lung mask on its own grid")
    return hu, found[0] > 0


def _cubes(
    cohorts: WorkingCohorts, number: int, atlas: Atlas
) -> list[tuple[slice, ...]]:
    scan = cohorts.scans[number]
    starts = [patch_start(scan, where, _SIDE) for where in atlas.landmarks]
    return [tuple(slice(max(0, a), max(0, a + _SIDE)) for a in s) for s in starts]
