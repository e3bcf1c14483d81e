"""Lung mask and registration of one scan, against SimpleITK's registration.

Process CPU seconds on one thread, variants interleaved, medians over rounds; the ratio
is the median of the rounds' ratios. Accuracy is the mean error of landmarks under known
affine maps, which overlap alone does not tell.

    python benchmarks/anatomy.py [--scan DICOM] [--rounds N] [--out FILE.json]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813 - as everybody writes it
from scipy import ndimage
from scipy.spatial.transform import Rotation

from scanlearn.anatomy.default_lungs import default_lungs
from scanlearn.anatomy.frames import frame_of_mask
from scanlearn.anatomy.label_mask import LabelMask
from scanlearn.anatomy.landmarks import Atlas, make_atlas
from scanlearn.anatomy.lungs import lung_mask
from scanlearn.anatomy.placement import measured, place
from scanlearn.anatomy.registration import AtlasShape, moments_map
from scanlearn.phantom.chest import make_chest
from scanlearn.prediction.representation.atlas_maps import drawn_atlas
from scanlearn.randomness import numpy_generator
from scanlearn.scans.read import read_scan
from scanlearn.scans.scan import Scan


def main() -> None:
    asked = _arguments()
    scan = read_scan(asked.scan).canonical() if asked.scan else make_chest(0, 1).scan
    atlas = make_atlas(
        default_lungs(), kind="lungs", patch_mm=32, step_mm=26, least_fraction=0.1
    )
    report = {**_times(scan, atlas, asked.rounds), "known_maps": _accuracy(atlas)}
    text = json.dumps(report, indent=1)
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n", encoding="utf-8")


def _times(scan: Scan, atlas: Atlas, rounds: int) -> dict[str, Any]:
    lungs = lung_mask(scan)
    labels = LabelMask(lungs.mask, lungs.grid)
    frame = frame_of_mask(lungs.mask > 0, lungs.grid, kind="lungs")
    assert atlas.labels is not None
    assert atlas.shape is not None
    jobs: dict[str, Callable[[], object]] = {
        "lung_mask": lambda: lung_mask(scan),
        "registration": lambda: atlas.shape.register(labels),
        "placement_with_quality": lambda: place(atlas, labels, frame),
        "simpleitk_registration": lambda: simpleitk_affine(atlas.labels, labels),
    }
    seconds: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(rounds):
        for name, job in jobs.items():
            start = time.process_time()
            job()
            seconds[name].append(time.process_time() - start)
    ratios = [
        a / b
        for a, b in zip(
            seconds["simpleitk_registration"], seconds["registration"], strict=True
        )
    ]
    theirs = simpleitk_affine(atlas.labels, labels)
    return {
        "cpu_seconds": {k: round(statistics.median(v), 3) for k, v in seconds.items()},
        "mask_and_placement": round(
            statistics.median(seconds["lung_mask"])
            + statistics.median(seconds["placement_with_quality"]),
            3,
        ),
        "times_as_fast_as_simpleitk": round(statistics.median(ratios), 1),
        "dice": place(atlas, labels, frame).to_dict()["quality"]["dice"],
        "dice_simpleitk": measured(atlas, labels, theirs).dice,
    }


def _accuracy(atlas: Atlas, trials: int = 6) -> dict[str, float]:
    """Return errors in mm under known maps: 6 degrees, 15 per cent, 30 mm."""
    phantom = lung_mask(make_chest(0, 1).scan)
    labels = LabelMask(phantom.mask, phantom.grid)
    shape, (centre, _) = AtlasShape(labels), labels.moments()
    points = place(
        atlas, labels, frame_of_mask(labels.mask > 0, labels.grid, kind="lungs")
    ).to_patient(atlas.landmarks)
    ours, start = [], []
    for trial in range(trials):
        rng = numpy_generator(0, "known maps", trial)
        turn = Rotation.from_euler("xyz", rng.uniform(-6, 6, 3), degrees=True)
        matrix = np.eye(4)
        matrix[:3, :3] = turn.as_matrix() @ np.diag(rng.uniform(0.85, 1.15, 3))
        matrix[:3, 3] = centre + rng.uniform(-30, 30, 3) - matrix[:3, :3] @ centre
        patient = drawn_atlas(labels, matrix)
        truth = points @ matrix[:3, :3].T + matrix[:3, 3]
        found, moments = shape.register(patient), moments_map(labels, patient)
        ours.append(np.linalg.norm(found(points) - truth, axis=1).mean())
        start.append(np.linalg.norm(moments(points) - truth, axis=1).mean())
    return {
        "mean_error_mm": round(float(np.mean(ours)), 3),
        "worst_mean_error_mm": round(float(np.max(ours)), 3),
        "moments_mean_error_mm": round(float(np.mean(start)), 2),
    }


def simpleitk_affine(atlas: LabelMask, patient: LabelMask) -> np.ndarray:
    """Register by mean squares on 4 mm, started from the moments; returns (4, 4)."""
    start = moments_map(atlas, patient)
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(start.stretch.ravel().tolist())
    transform.SetCenter(start.middle.tolist())
    transform.SetTranslation((start.centre - start.middle).tolist())
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.5)
    method.SetOptimizerAsRegularStepGradientDescent(2.0, 1e-3, 200)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([1, 0])
    method.SetInterpolator(sitk.sitkLinear)
    method.SetInitialTransform(transform, inPlace=True)
    method.SetGlobalDefaultNumberOfThreads(1)
    method.Execute(_image(atlas), _image(patient))
    matrix = np.eye(4)
    matrix[:3, :3] = np.array(transform.GetMatrix()).reshape(3, 3)
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    return matrix


def _image(labels: LabelMask) -> sitk.Image:
    """Return the release's image: 50 right, 100 left, a little blurred."""
    parts, grid = labels.parts(margin_mm=20)
    volume = 50 * parts[0] + 100 * parts[1]
    image = sitk.GetImageFromArray(ndimage.gaussian_filter(volume, 1))
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin(grid.affine[:3, 3].tolist())
    return image


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scan", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
