"""Emphysema patches: what images alone learn, read off with a few labels.

The 2D branch of the joint method is trained on patches of the training blocks alone;
its frozen features then go through logistic regression with a few labels a class.
Blocks are contiguous in the file: patients are not known, and neighbours leak.

    python benchmarks/joint_patches.py EmphysemaPatches.mat --out patches.json

``--handmade`` adds what densities and texture say of the same patches and labels, as
the texture task learns without an encoder; other rows of the file stay.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.config.run import merge
from scanlearn.errors import ScanlearnError
from scanlearn.features.handmade import handmade_features
from scanlearn.features.linear import fit_logistic
from scanlearn.metrics.class_scores import balanced_accuracy
from scanlearn.new_run import new_pretraining, pretraining_config
from scanlearn.prediction.representation.slice_embedding import SliceEmbedder
from scanlearn.pretraining.registry import method_named, method_of
from scanlearn.runs.events import Crashed
from scanlearn.worker import train_run

#: Contiguous parts of each class, each the test set once.
BLOCKS = 4

#: Labels a class, and draws of them from the training blocks.
LABELS, DRAWS = (1, 5, 10, 20, 50), 4

#: Inverse strength of the logistic regression's penalty. It and the mean over turned
#: patches were chosen on the training blocks of the first block and seed alone, each
#: of them the test set once.
STRENGTH = 0.01

#: What is set for patches of 31 pixels: texture has no upright, densities do not
#: stretch, and a view still shows a third of the patch.
RECIPE: dict[str, Any] = {
    "trunk": {"architecture": "small", "width": 16, "knee_hu": -600.0},
    "image_side": 31,
    "image_crop": 31,
    "slice_side": 31,
    "batch": 256,
    "stages": {"warm": 1, "mask": 0, "joint": 0},
    "images": {"samples_a_cluster": 6, "freeze_steps": 20},
    "views": {
        "area": [0.35, 1.0],
        "rotate_degrees": 180.0,
        "shift_hu": 25.0,
        "noise_hu": 20.0,
    },
    "optimiser": {"name": "adamw", "learning_rate": 3e-3, "warmup": 0.05},
}

#: Clusters and steps of each method. SwAV's steps were chosen as the penalty was, the
#: rest on the first block with one seed.
METHODS = {"deepcluster": (128, 250), "swav": (64, 300)}

Patches = NDArray[np.int16]
#: Vectors and classes to learn from, vectors to classify: their classes.
Classify = Callable[[NDArray[Any], NDArray[np.int64], NDArray[Any]], NDArray[np.int64]]


def read_blocks(path: Path) -> tuple[Patches, NDArray[np.int64], NDArray[np.int64]]:
    """Return patches (n, 31, 31) in HU, their classes and their blocks."""
    cells = loadmat(path)["EmphyPatch"][0]
    patches = np.concatenate([np.moveaxis(cell, -1, 0) for cell in cells])
    classes = np.repeat(np.arange(len(cells)), [cell.shape[-1] for cell in cells])
    blocks = [np.arange(n) * BLOCKS // n for n in (c.shape[-1] for c in cells)]
    return patches, classes, np.concatenate(blocks)


def write_cohort(folder: Path, patches: Patches) -> Path:
    """Prepare patches as a cohort of images, every one a patient of its own."""
    folder.mkdir(parents=True)
    np.save(folder / "patches.npy", patches)
    with (folder / "patches.csv").open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(["path", "index", "patient", "spacing"])
        table.writerows(["patches.npy", n, f"{n}", 0.78] for n in range(len(patches)))
    prepare(folder / "patches.csv", folder / "cohort", PrepareConfig(workers=0))
    return folder / "cohort"


def trained(
    cohort: Path, out: Path, *, method: str, steps: int, seed: int
) -> tuple[Path, float]:
    """Pre-train; returns the run and its seconds of CPU."""
    images = {"images": {"clusters": METHODS[method][0]}}
    changes = {
        "recipe": merge(RECIPE | {"clustering": method}, images),
        "engine": {"steps": steps, "seed": seed, "threads": 1, "save_every": 10_000},
    }
    config = pretraining_config(
        [cohort], method=method_named("joint"), preset_name="quick", changes=changes
    )
    begun = time.process_time()
    for event in train_run(new_pretraining(method_of(config), config, out)):
        if isinstance(event, Crashed):
            raise ScanlearnError(event.error)
    return out, time.process_time() - begun


def described(embedder: SliceEmbedder, patches: Patches) -> NDArray[np.float32]:
    """Return a vector of each patch: the mean over its turned and mirrored images.

    Texture has no direction.
    """
    turned = [np.rot90(patches, turns, axes=(1, 2)) for turns in range(4)]
    images = turned + [one[:, :, ::-1] for one in turned]
    found = [embedder.images(np.array(x, dtype=np.float32), "HU") for x in images]
    return np.mean(found, axis=0)


def by_regression(
    x: NDArray[Any], classes: NDArray[np.int64], wanted: NDArray[Any]
) -> NDArray[np.int64]:
    """Classify by the logistic regression whose penalty was chosen for trunks."""
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=STRENGTH, max_iter=2000)
    )
    return np.asarray(model.fit(x, classes).predict(wanted))


def as_the_task_does(
    x: NDArray[Any], classes: NDArray[np.int64], wanted: NDArray[Any]
) -> NDArray[np.int64]:
    """Classify as the texture task does without an encoder."""
    return np.asarray(fit_logistic(x, classes).scores(wanted).argmax(axis=1))


def handmade_rows(
    patches: Patches, classes: NDArray[np.int64], turns: list[tuple[int, NDArray[Any]]]
) -> list[dict[str, Any]]:
    """Return the rows of densities and texture, with the other arms' labels."""
    begun = time.process_time()
    vectors = handmade_features(patches.astype(np.float32))
    seconds = time.process_time() - begun
    return [
        {"arm": "handmade", "block": seed % BLOCKS, "seed": seed, "labels": n}
        | {"balanced_accuracy": values, "cpu_seconds": seconds}
        for seed, test in turns
        for n, values in scores(
            vectors, classes, test, seed=seed, classify=as_the_task_does
        ).items()
    ]


def scores(
    vectors: NDArray[np.floating],
    classes: NDArray[np.int64],
    test: NDArray[np.bool_],
    *,
    seed: int,
    classify: Classify,
) -> dict[int, list[float]]:
    """Return balanced accuracies on a block by the number of labels a class."""
    rng = np.random.default_rng(seed)
    found: dict[int, list[float]] = {n: [] for n in LABELS}
    for _ in range(DRAWS):
        order = rng.permutation(np.flatnonzero(~test))
        for n in LABELS:
            rows = np.concatenate(
                [order[classes[order] == name][:n] for name in np.unique(classes)]
            )
            guess = classify(vectors[rows], classes[rows], vectors[test])
            found[n].append(balanced_accuracy(classes[test], guess))
    return found


def main() -> None:
    """Train and score every seed on every block."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patches", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--methods", nargs="+", default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument(
        "--every-block",
        action="store_true",
        help="score each seed on all blocks; otherwise on one, in turn",
    )
    parser.add_argument("--handmade", action="store_true", help="only that arm")
    given = parser.parse_args()
    patches, classes, blocks = read_blocks(given.patches)
    if given.handmade:
        turned = [(seed, blocks == seed % BLOCKS) for seed in range(given.seeds)]
        kept = json.loads(given.out.read_text())["rows"] if given.out.exists() else []
        kept = [row for row in kept if row["arm"] != "handmade"]
        rows = kept + handmade_rows(patches, classes, turned)
        given.out.write_text(json.dumps(report(rows), indent=1))
        return
    rows = []
    arms = [(name, METHODS[name][1]) for name in given.methods] + [("untrained", 0)]
    turns = [
        (seed, block)
        for seed in range(given.seeds)
        for block in range(BLOCKS)
        if given.every_block or block == seed % BLOCKS
    ]
    with tempfile.TemporaryDirectory() as scratch:
        cohorts: dict[int, Path] = {}
        for seed, block in turns:
            test = blocks == block
            if block not in cohorts:
                folder = Path(scratch) / f"block{block}"
                cohorts[block] = write_cohort(folder, patches[~test])
            for arm, steps in arms:
                run, seconds = trained(
                    cohorts[block],
                    Path(scratch) / f"{arm}-{block}-{seed}",
                    method=given.methods[0] if arm == "untrained" else arm,
                    steps=steps,
                    seed=seed,
                )
                vectors = described(SliceEmbedder(run), patches)
                found = scores(
                    vectors, classes, test, seed=seed, classify=by_regression
                )
                rows += [
                    {"arm": arm, "block": block, "seed": seed, "labels": n}
                    | {"balanced_accuracy": values, "cpu_seconds": seconds}
                    for n, values in found.items()
                ]
                given.out.write_text(json.dumps(report(rows), indent=1))


def report(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return all rows, and of each arm the mean over seeds with their deviation."""
    table: dict[str, Any] = {}
    for arm in dict.fromkeys(row["arm"] for row in rows):
        for n in LABELS:
            own = [r for r in rows if r["arm"] == arm and r["labels"] == n]
            of_seed: dict[int, list[float]] = {}
            for row in own:
                of_seed.setdefault(row["seed"], []).extend(row["balanced_accuracy"])
            means = [statistics.mean(values) for values in of_seed.values()]
            table.setdefault(arm, {})[n] = {
                "mean": statistics.mean(means),
                "by_seed": means,
                "cpu_seconds": statistics.median(r["cpu_seconds"] for r in own),
            }
    return {"summary": table, "rows": rows}


if __name__ == "__main__":
    main()
