"""What slices and volumes say: linear probes of joint training, and of what it adds to.

Cine MR of hearts (HDF5 with an index), MR of the hippocampus and radiographs;
pre-training sees the training patients alone. Frozen features are then read by a linear
model fitted on training patients and scored on the others:

* ``position``: relative height of a heart's slice, R² of ridge regression;
* ``group``: five groups of heart patients, balanced accuracy (chance 0.2);
* ``pneumonia``, ``tuberculosis``: balanced accuracy (chance 0.5).

Arms: ``untrained`` trunk, ``images`` (stage A alone, equally many trunk updates),
``joint`` (A, B and C), ``pixels`` (16 x 16 grey values). Needs h5py.

Example: python benchmarks/joint_probes.py DATA --out probes.json --seeds 5
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegressionCV, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probes import r_squared
from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import ScanlearnError
from scanlearn.metrics.class_scores import balanced_accuracy
from scanlearn.new_run import new_pretraining, pretraining_config
from scanlearn.prediction.representation.slice_embedding import SliceEmbedder
from scanlearn.prediction.representation.slice_scans import cohort_slice_scans
from scanlearn.pretraining.registry import method_named, method_of
from scanlearn.runs.events import Crashed
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.scans.geometry import grid_from_ras
from scanlearn.worker import train_run

#: Radiographs taken of the large set, from its training and from its test part.
PNEUMONIA = {"train": 400, "test": 300}

#: Voxels of the hearts, whose spacing was lost.
HEART_MM = np.diag([-1.5, -1.5, 10.0, 1.0])

#: Steps of stage B, which change no trunk.
HIDDEN = 60

#: Grey values of the baseline, along each side.
SIDE = 16

Rows = dict[str, Any]


def write_hearts(data: Path, out: Path) -> dict[str, Rows]:
    """Write volumes as NIfTI, training and test patients apart; returns their facts."""
    import h5py

    facts = {}
    with (data / "index.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            part = "test" if row["split"] == "test" else "train"
            folder = out / part
            folder.mkdir(parents=True, exist_ok=True)
            with h5py.File(data / "volumes" / f"{row['volume']}.h5") as file:
                voxels = np.asarray(file["image"], dtype=np.float32) * 1000
            array = voxels.transpose(2, 1, 0)
            path = folder / f"{row['volume']}.nii.gz"
            write_nifti(path, array, grid_from_ras(array.shape, HEART_MM))
            group = row["group_by_acdc_numbering"]
            facts[path.name] = {"group": group, "patient": row["patient"]}
    return facts


def write_pneumonia(data: Path, out: Path) -> dict[str, Rows]:
    """Write some radiographs of either part as PNG."""
    facts = {}
    with np.load(data) as found:
        for part, count in PNEUMONIA.items():
            (out / part).mkdir(parents=True)
            for n in range(count):
                path = out / part / f"{part}{n:04}.png"
                Image.fromarray(found[f"{part}_images"][n]).save(path)
                facts[path.name] = {"label": int(found[f"{part}_labels"][n, 0])}
    return facts


def write_tuberculosis(data: Path, out: Path) -> dict[str, Rows]:
    """Copy radiographs; every third patient is a test patient."""
    facts = {}
    for number, path in enumerate(sorted((data / "images").iterdir())):
        part = "test" if number % 3 == 0 else "train"
        (out / part).mkdir(parents=True, exist_ok=True)
        (out / part / path.name).write_bytes(path.read_bytes())
        facts[path.name] = {"label": int(path.stem[-1])}
    return facts


def described(
    run: Path, cohort: Path
) -> list[tuple[str, NDArray[np.float32], NDArray[np.float32]]]:
    """Return of each scan its file's name, its vector, and those of its slices."""
    embedder, sources = SliceEmbedder(run), Cohort(cohort).sources()
    rows = []
    for scan in cohort_slice_scans(cohort, embedder.card, tell=print):
        vectors = embedder.scan(scan)
        whole = vectors.mean
        if vectors.holistic is not None:
            whole = np.concatenate([whole, vectors.holistic])
        rows.append((Path(sources[scan.key].path).name, whole, vectors.slices))
    return rows


def pixels(
    run: Path, cohort: Path
) -> list[tuple[str, NDArray[np.float32], NDArray[np.float32]]]:
    """Return the same of grey values; the middle slice stands for a volume."""
    card, sources = SliceEmbedder(run).card, Cohort(cohort).sources()
    rows = []
    for scan in cohort_slice_scans(cohort, card, tell=print):
        stored = scan.read(range(scan.grid.shape[0]))
        small = [Image.fromarray(s).resize((SIDE, SIDE)) for s in stored]
        flat = np.stack([np.asarray(s).ravel() for s in small])
        name = Path(sources[scan.key].path).name
        rows.append((name, flat[len(flat) // 2], flat))
    return rows


def probe(train: list[Any], test: list[Any], facts: dict[str, Rows], key: str) -> float:
    """Fit a linear classifier of scans and return its balanced accuracy."""
    model = make_pipeline(
        StandardScaler(),
        LogisticRegressionCV(
            Cs=np.logspace(-4, 1, 6),
            cv=3,
            l1_ratios=(0.0,),
            use_legacy_attributes=False,
            scoring="neg_log_loss",
            max_iter=1000,
        ),
    )
    model.fit([v for _, v, _ in train], [facts[name][key] for name, _, _ in train])
    guess = model.predict([v for _, v, _ in test])
    return balanced_accuracy([facts[name][key] for name, _, _ in test], guess)


def probe_position(train: list[Any], test: list[Any]) -> float:
    """Fit the relative height of slices and return R² on other patients."""

    def rows(scans: list[Any]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        heights = [np.linspace(0, 1, len(slices)) for _, _, slices in scans]
        return np.concatenate([s for _, _, s in scans]), np.concatenate(heights)

    model = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 5, 13)))
    vectors, heights = rows(train)
    model.fit(vectors, heights)
    vectors, heights = rows(test)
    return r_squared(heights, model.predict(vectors))


def trained(cohorts: list[Path], out: Path, *, arm: str, steps: int, seed: int) -> Path:
    """Pre-train an arm; every arm changes its trunk as often."""
    hidden = HIDDEN if arm == "joint" else 0
    half = steps // 2 if arm == "joint" else steps
    stages = {"warm": half, "mask": hidden, "joint": steps - half}
    total = 0 if arm in ("untrained", "pixels") else steps + hidden
    config = pretraining_config(
        cohorts,
        method=method_named("joint"),
        preset_name="quick",
        changes={
            "recipe": {"stages": stages if total else {"warm": 1}},
            "engine": {"steps": total, "seed": seed, "threads": 1},
        },
    )
    for event in train_run(new_pretraining(method_of(config), config, out)):
        if isinstance(event, Crashed):
            raise ScanlearnError(event.error)
    return out


def main() -> None:
    """Train and probe every arm and seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=540)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        base = Path(scratch)
        films = given.data / "radiographs"
        facts = {
            "hearts": write_hearts(given.data / "cardiac", base / "hearts"),
            "pneumonia": write_pneumonia(
                films / "pneumoniamnist_28.npz", base / "pneumonia"
            ),
            "tuberculosis": write_tuberculosis(
                films / "tuberculosis", base / "tuberculosis"
            ),
        }
        cohorts: dict[tuple[str, str], Path] = {}
        config = PrepareConfig(workers=0, radiograph_size=128)
        for name in facts:
            for part in ("train", "test"):
                cohorts[name, part] = base / f"{name}-{part}"
                prepare(base / name / part, cohorts[name, part], config)
        more = base / "hippocampus"
        prepare(given.data / "hippocampus" / "images", more, config)
        sources = [more, *(cohorts[name, "train"] for name in facts)]
        for seed in range(given.seeds):
            for arm in ("untrained", "images", "joint", "pixels"):
                out = base / f"{arm}-{seed}"
                run = trained(sources, out, arm=arm, steps=given.steps, seed=seed)
                read = pixels if arm == "pixels" else described
                seen = {place: read(run, cohort) for place, cohort in cohorts.items()}
                of = {n: (seen[n, "train"], seen[n, "test"]) for n in facts}
                scores = {
                    "position": probe_position(*of["hearts"]),
                    "group": probe(*of["hearts"], facts["hearts"], "group"),
                    "pneumonia": probe(*of["pneumonia"], facts["pneumonia"], "label"),
                    "tuberculosis": probe(
                        *of["tuberculosis"], facts["tuberculosis"], "label"
                    ),
                }
                for name, value in scores.items():
                    found.setdefault(arm, {}).setdefault(name, []).append(value)
                given.out.write_text(json.dumps(report(found), indent=1))


def report(found: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Return mean, standard deviation over seeds, and each seed."""
    return {
        arm: {
            name: {
                "mean": statistics.mean(values),
                "sd": statistics.stdev(values) if len(values) > 1 else None,
                "by_seed": values,
            }
            for name, values in scores.items()
        }
        for arm, scores in found.items()
    }


if __name__ == "__main__":
    main()
