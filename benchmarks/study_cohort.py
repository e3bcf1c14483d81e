"""The phantoms of ``phantom_study.py``: graded emphysema with a known extent and kind.

Unlike in ``scanlearn sample``, where panlobular emphysema is always the largest, all
subtypes are drawn to the same range of extents here, so that the extent does not give
the subtype away, nor the subtype the extent. Body, lung density, kernel and
nodules are each patient's own and independent of the disease.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.phantom import Disease, make_chest
from scanlearn.phantom.emphysema import SUBTYPES
from scanlearn.randomness import numpy_generator
from scanlearn.scans.files.write_nifti import write_nifti

SPACING_MM = 2.0

#: Extents of emphysema in percent of the lungs. Centrilobular holes that keep their
#: distance fill no more than about 15 percent.
_PERCENT = (1.5, 15.0)
_SEED = 2023


@dataclass(frozen=True)
class Truth:
    """What is known of a phantom."""

    percent: float
    subtype: str
    kernel: str
    normal_lung_hu: float


def make_cohort(folder: Path, patients: int) -> Path:
    """Make or complete the prepared cohort of phantoms; what is there is kept."""
    scans = folder / "scans"
    scans.mkdir(parents=True, exist_ok=True)
    for number in range(patients):
        _make_scan(scans, number)
    prepare(scans, folder / "cohort", PrepareConfig(spacing_mm=SPACING_MM, workers=0))
    return folder / "cohort"


def read_truth(folder: Path) -> dict[str, Truth]:
    """Return what is known of each phantom, by the name of its file."""
    files = sorted((folder / "scans").glob("*.json"))
    return {file.stem: Truth(**json.loads(file.read_text("utf-8"))) for file in files}


def _make_scan(folder: Path, number: int) -> None:
    known = folder / f"PHANTOM-{number:04d}.json"
    if known.exists():
        return
    rng = numpy_generator(_SEED, "study", number)
    kind = list(SUBTYPES)[number % len(SUBTYPES)]
    percent = float(rng.uniform(*_PERCENT)) if SUBTYPES[kind] else 0.0
    phantom = make_chest(
        _SEED,
        number,
        spacing_mm=(SPACING_MM,) * 3,
        dose="standard",  # a low one adds 65 HU a voxel, which is too much at 2 mm
        disease=Disease(int(rng.integers(0, 5)), kind, percent),
    )
    write_nifti(known.with_suffix(".nii.gz"), phantom.scan.voxels, phantom.scan.grid)
    who = phantom.patient
    truth = Truth(phantom.emphysema.percent, kind, who.kernel, who.lung_hu)
    known.write_text(json.dumps(asdict(truth), indent=1), encoding="utf-8")
