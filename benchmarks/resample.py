"""Resampling a chest CT to 1 mm: separable cubic B-spline against SimpleITK's.

Prints one JSON document. Both sides run in turn in one process; the ratio is the median
of the ratios of the rounds, in processor time, so that other work on the machine
disturbs it little, and in wall time with every core of the machine.

    OMP_NUM_THREADS=1 python benchmarks/resample.py --threads 1
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import SimpleITK
from scipy import ndimage

from scanlearn.scans.geometry import Grid
from scanlearn.scans.resample import resample

SHAPE = (275, 512, 512)
SPACING_MM = (1.0, 0.78, 0.78)
OUTSIDE = -1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    SimpleITK.ProcessObject.SetGlobalDefaultNumberOfThreads(options.threads)
    voxels = make_volume()
    source = axial(SHAPE, SPACING_MM)
    target = axial((275, 400, 400), (1.0, 1.0, 1.0))
    orders = {"cubic": (3, SimpleITK.sitkBSpline), "linear": (1, SimpleITK.sitkLinear)}
    results = {
        name: compare(
            lambda order=order: resample(
                voxels, source, target, order=order, outside=OUTSIDE
            ),
            lambda kind=kind: with_itk(voxels, target, kind),
            options.rounds,
        )
        for name, (order, kind) in orders.items()
    }
    print(
        json.dumps(
            {
                "source": {"shape": SHAPE, "spacing_mm": SPACING_MM, "type": "int16"},
                "target": {"shape": target.shape, "spacing_mm": target.spacing_mm},
                "rounds": options.rounds,
                "threads": options.threads,
                "results": results,
            },
            indent=2,
        )
    )


def make_volume() -> np.ndarray:
    """Make structures of a few voxels in size with the contrast of a chest CT."""
    noise = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
    smooth = ndimage.gaussian_filter(noise, 1.5)
    tissue = np.where(smooth > 0, 40, -850) + 20 * noise
    return np.rint(tissue).astype(np.int16)


def axial(shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> Grid:
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing_mm
    affine[3, 3] = 1
    return Grid((shape[0], shape[1], shape[2]), affine)


def with_itk(voxels: np.ndarray, target: Grid, interpolator: int) -> np.ndarray:
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing(SPACING_MM[::-1])
    filtered = SimpleITK.Resample(
        image,
        target.shape[::-1],
        SimpleITK.Transform(),
        interpolator,
        (0.0, 0.0, 0.0),
        target.spacing_mm[::-1],
        image.GetDirection(),
        float(OUTSIDE),
    )
    return SimpleITK.GetArrayFromImage(filtered)


Seconds = tuple[float, float]


def timed(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, Seconds]:
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    return result, (time.process_time() - cpu, time.perf_counter() - wall)


def compare(
    ours: Callable[[], np.ndarray], itk: Callable[[], np.ndarray], rounds: int
) -> dict[str, float]:
    ours()
    pairs = []
    for _ in range(rounds):
        ours_result, ours_seconds = timed(ours)
        itk_result, itk_seconds = timed(itk)
        pairs.append((ours_seconds, itk_seconds))
    gap = np.abs(ours_result.astype(np.int32) - itk_result)
    return {
        "ratio_cpu": round(median(b[0] / a[0] for a, b in pairs), 2),
        "ratio_wall": round(median(b[1] / a[1] for a, b in pairs), 2),
        "scanlearn_cpu_seconds": round(median(a[0] for a, _ in pairs), 3),
        "itk_cpu_seconds": round(median(b[0] for _, b in pairs), 3),
        "max_difference": int(gap.max()),
        "mean_difference": round(float(gap.mean()), 3),
    }


if __name__ == "__main__":
    main()
