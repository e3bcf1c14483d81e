"""``scanlearn predict`` in miniature: a threshold instead of a network."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from scanlearn.runs.events import Crashed, Event, Finished, Step
from scanlearn.scans.files.write_nifti import write_nifti, write_nifti_channels
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan
from scanlearn.scans.tables.results import write_results


def main() -> None:
    words = sys.argv[1:]
    run, source, out = Path(words[1]), Path(words[2]), Path(words[4])
    if "unlearned" in run.name:
        tell(
            Crashed(
                error=f"{run.name} has no model. Fine-tune it first.", mendable=True
            )
        )
        return
    tell(Step(step=1, values={"total": 2.0}))
    scan = read_scan(find_scans(source)[0])
    lung = (scan.voxels < -500).astype(np.uint8)
    write_nifti(out / "scan_labels.nii.gz", lung, scan.grid)
    channels = np.stack([1 - lung, lung]).astype(np.float32)
    write_nifti_channels(out / "scan_probabilities.nii.gz", channels, scan.grid)
    unsure = np.where(scan.voxels < -900, 0.5, 0).astype(np.float32)
    write_nifti(out / "scan_uncertainty.nii.gz", unsure, scan.grid)
    write_results(out / "scan_volumes.csv", ["class", "value"], [])
    millilitres = float(lung.sum()) * scan.grid.voxel_ml
    lung_class = {"value": 1, "name": "lung", "colour": "#fff", "ml": millilitres}
    if "--views" in words:
        lung_class["sd_ml"] = 12.0
    about = {
        "run": run.name,
        "task": "segmentation",
        "grid": {"shape": scan.grid.shape, "affine": scan.grid.affine.tolist()},
        "scan": "scan",
        "source": find_scans(source)[0].kind,
        "labels": "scan_labels.nii.gz",
        "probabilities": "scan_probabilities.nii.gz",
        "uncertainty": "scan_uncertainty.nii.gz",
        "tables": ["scan_volumes.csv"],
        "classes": [lung_class],
        "lungs": {
            "volume_ml": 4810.0,
            "laa950_percent": 12.34,
            "perc15_hu": -921.0,
            "mean_hu": -840.0,
        },
        "cautions": ["Slices are thick."],
    }
    (out / "scan_prediction.json").write_text(json.dumps(about))
    tell(Finished(step=2))


def tell(event: Event) -> None:
    sys.stdout.write(event.model_dump_json() + "\n")
    sys.stdout.flush()


main()
