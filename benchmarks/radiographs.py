"""Radiographs: pneumonia and tuberculosis at 1 %, 10 % and 100 % of the labels.

The trunk is pre-trained without labels on the training images alone (the joint method's
stage A). Every arm sees the same labels and is judged on the same images; arms that are
trained step by step do the same number of updates.

    python benchmarks/radiographs.py DATA --work WORK --out radiographs.json

DATA holds ``pneumoniamnist_28.npz`` (MedMNIST v2, its own split) and ``tuberculosis``
(Montgomery and Shenzhen sets; an image is a patient, five folds). What is done is kept
in WORK: run again, it goes on.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import stats
from sklearn.metrics import roc_auc_score

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.comparison.untrained import write_untrained
from scanlearn.config.prepare import PrepareConfig
from scanlearn.encoders.encoder_file import load_slice_encoder
from scanlearn.errors import ScanlearnError
from scanlearn.files import folder_beside, write_text
from scanlearn.nets.image_classifier import ImageClassifier
from scanlearn.new_run import (
    finetuning_config,
    new_finetuning,
    new_pretraining,
    pretraining_config,
)
from scanlearn.pretraining.registry import method_named, method_of
from scanlearn.randomness import seed_everything
from scanlearn.runs.events import Crashed, Finished, Stopped
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.classification.card import load_classifier
from scanlearn.tasks.classification.head import fit_head
from scanlearn.tasks.classification.labelled_images import LabelledImages
from scanlearn.tasks.classification.labels import ImageLabel, ImageLabels
from scanlearn.tasks.registry import task_named
from scanlearn.worker import train_run

CLASSES = ("normal", "abnormal")

#: Shares of the training images: of pneumonia 10, 47, 471 and all.
BUDGETS = (10 / 4708, 0.01, 0.1, 1.0)

#: Cells along the sides of the first map, as in the task's presets.
GRID = 4

#: Of the ridge, for pixels and features alike: the default of the task.
PENALTY = 0.1

ARMS = (
    "pre-trained, frozen",
    "pre-trained, all trained",
    "untrained, frozen",
    "from scratch",
    "pixels",
)


@dataclass(frozen=True, eq=False)
class Study:
    """One data set, and how it is learned."""

    name: str
    #: Pixels along an image's side, as stored and as seen.
    stored: int
    side: int
    folds: int
    pretraining_steps: int
    pretraining_batch: int
    updates: int
    batch: int


STUDIES = {
    "pneumonia": Study("pneumonia", 28, 32, 1, 250, 64, 200, 32),
    "tuberculosis": Study("tuberculosis", 128, 64, 5, 120, 32, 60, 16),
}


def read_images(data: Path, name: str) -> tuple[list[NDArray[np.uint8]], Any, Any]:
    """Return images, whether each is abnormal, and its fold; -1 is never tested."""
    if name == "pneumonia":
        archive = np.load(data / "pneumoniamnist_28.npz")
        images = np.concatenate([archive[f"{s}_images"] for s in ("train", "test")])
        labels = np.concatenate([archive[f"{s}_labels"] for s in ("train", "test")])
        fold = np.repeat(
            [-1, 0], [len(archive["train_images"]), len(archive["test_images"])]
        )
        return list(images), labels.ravel() > 0, fold
    files = sorted((data / "tuberculosis" / "images").glob("*.png"))
    films = [f for f in files if f.stem[-2:] in ("_0", "_1")]
    abnormal = np.array([f.stem.endswith("1") for f in films])
    fold = np.zeros(len(films), dtype=int)
    for kind in (False, True):
        rows = np.random.default_rng(0).permutation(np.flatnonzero(abnormal == kind))
        fold[rows] = np.arange(len(rows)) % STUDIES[name].folds
    return [np.asarray(Image.open(f).convert("L")) for f in films], abnormal, fold


def make_cohort(folder: Path, images: Sequence[NDArray[np.uint8]], size: int) -> Path:
    """Prepare images, each a patient of its own; the patient's name is its number."""
    if not (folder / "cohort" / "catalogue.csv").exists():
        (folder / "films").mkdir(parents=True, exist_ok=True)
        same = len({image.shape for image in images}) == 1
        if same:
            np.save(folder / "films.npy", np.stack(images))
        with (folder / "films.csv").open("w", newline="") as stream:
            table = csv.writer(stream)
            table.writerow(["path", "patient", *(["index"] * same)])
            for n, image in enumerate(images):
                if same:
                    table.writerow(["films.npy", f"{n}", n])
                    continue
                Image.fromarray(image).save(folder / "films" / f"{n}.png")
                table.writerow([f"films/{n}.png", f"{n}"])
        config = PrepareConfig(radiograph_size=size, workers=0)
        prepare(folder / "films.csv", folder / "cohort", config)
    return folder / "cohort"


def part_of(cohort: Cohort, keys: Sequence[str], out: Path) -> Path:
    """Write a cohort of some of another's images, for the trunk to be trained on."""
    if not out.exists():
        with folder_beside(out) as draft:
            (draft / "scans").mkdir(parents=True)
            shutil.copy(cohort.path / "cohort.yaml", draft)
            for key in keys:
                for suffix in (".npy", ".json"):
                    shutil.copy(
                        cohort.path / "scans" / f"{key}{suffix}", draft / "scans"
                    )
    return out


def keys_in_order(cohort: Cohort) -> list[str]:
    """Return the key of each image by its number."""
    found = {}
    for key, source in cohort.sources().items():
        found[int(source.volume or Path(source.path).stem)] = key
    return [found[n] for n in sorted(found)]


def pretrained(cohort: Path, out: Path, study: Study, *, seed: int) -> Path:
    """Pre-train a trunk on a cohort without labels, or go on with it."""
    if out.exists():
        run = RunFolder(out)
        if not isinstance(run.last_event(), Finished):
            train(run)
        return out
    side = study.side
    recipe = {
        "trunk": {"architecture": "small", "width": 16},
        "image_side": side,
        "image_crop": side,
        "slice_side": side,
        "batch": study.pretraining_batch,
        "stages": {"warm": 1, "mask": 0, "joint": 0},
        "clustering": "deepcluster",
        "dense": 0.0,  # no decoder is asked for
        "images": {"clusters": 64, "samples_a_cluster": 4, "freeze_steps": 20},
    }
    engine = {
        "steps": study.pretraining_steps,
        "seed": seed,
        "threads": 1,
        "save_every": 25,
        "validate_every": 100,
    }
    changes = {"recipe": recipe, "engine": engine}
    config = pretraining_config(
        [cohort], method=method_named("joint"), preset_name="quick", changes=changes
    )
    train(new_pretraining(method_of(config), config, out))
    return out


def train(run: Any) -> None:
    """Train a run to its end; ended before, it is gone on with the next time."""
    for event in train_run(run):
        if isinstance(event, Crashed):
            raise ScanlearnError(event.error)
        if isinstance(event, Stopped):
            sys.exit(event.reason)


@torch.inference_mode()
def by_batches(
    images: LabelledImages, network: Callable[[torch.Tensor], torch.Tensor]
) -> NDArray[np.float64]:
    """Return what a network makes of images, row by row."""
    cpu = torch.device("cpu")
    parts = [network(images.stack(rows, cpu)) for rows in images.batches()]
    return torch.cat(parts).double().numpy()


def frozen_features(run: Path, images: LabelledImages) -> NDArray[np.float64]:
    """Return the features (n, F) of an encoder as it is."""
    encoder, _ = load_slice_encoder(run)
    network = ImageClassifier(
        encoder.trunk, classes=2, knee=encoder.tone.knee, grid=GRID, side=images.side
    )
    return by_batches(images, network.eval().features)


def drawn(labels: NDArray[np.bool_], share: float, *, seed: int) -> NDArray[np.int_]:
    """Draw a share of the labels, nested, at least one of each class."""
    order = np.random.default_rng(seed).permutation(len(labels))
    first = [int(order[labels[order] == kind][0]) for kind in (False, True)]
    rest = [int(n) for n in order if int(n) not in first]
    return np.array((first + rest)[: max(2, round(share * len(labels)))])


def probed(
    x: NDArray[np.float64], labels: NDArray[np.bool_], few: Any, test: Any
) -> NDArray[np.float64]:
    """Return the scores of test rows by a logistic regression on few rows."""
    targets = np.stack([~labels, labels], axis=1)
    model = fit_head(x[few], targets[few], several=False, penalty=PENALTY)
    return np.asarray(model.scores(x[test])[:, 1])


def trained(
    cohort: Path, start: Path, out: Path, study: Study, items: Any, *, seed: int
) -> Path:
    """Train the whole network on labelled images; no patient is held out."""
    config = finetuning_config(
        [cohort],
        task=task_named("classification"),
        preset_name="quick",
        start_from=start,
        changes={
            "recipe": {"method": "full", "validation": 0.0, "batch": study.batch},
            "engine": {
                "steps": study.updates,
                "seed": seed,
                "threads": 1,
                "save_every": 10_000,
                "validate_every": 10_000,
            },
        },
    )
    shutil.rmtree(out, ignore_errors=True)  # of the piece before
    train(new_finetuning(config, ImageLabels(CLASSES, False, items), out))
    return out


def pieces(
    study: Study,
    data: Path,
    work: Path,
    *,
    arms: Sequence[str],
    seeds: int,
    done: set[tuple[Any, ...]],
) -> Iterator[dict[str, Any]]:
    """Yield one row an arm, budget, seed and fold: scores of the fold's images."""
    images, labels, fold = read_images(data, study.name)
    folder = work / study.name
    path = make_cohort(folder / "all", images, study.stored)
    cohort = Cohort(path)
    keys = keys_in_order(cohort)
    patients = [cohort.record(key).patient for key in keys]
    items = tuple(
        ImageLabel(key, who, (CLASSES[int(label)],))
        for key, who, label in zip(keys, patients, labels, strict=True)
    )
    targets = np.stack([~labels, labels], axis=1)
    everything = LabelledImages(cohort, items, targets, study.side)
    pixels = by_batches(everything, lambda x: x[:, :, ::2, ::2].flatten(1))
    for number in range(study.folds):
        train_rows, test = (
            np.flatnonzero(fold != number),
            np.flatnonzero(fold == number),
        )
        own = part_of(
            cohort, [keys[n] for n in train_rows], folder / f"training{number}"
        )
        start = pretrained(own, folder / f"joint{number}", study, seed=number)
        features = {"pre-trained": frozen_features(start, everything)}
        for seed in range(seeds):
            twin = folder / f"untrained{number}-{seed}"
            if not twin.exists():
                write_untrained(start, twin, seed=seed)
            features["untrained"] = frozen_features(twin, everything)
            for share in BUDGETS:
                few = train_rows[drawn(labels[train_rows], share, seed=seed)]
                for arm in arms:
                    if (study.name, arm, share, seed, number) in done:
                        continue
                    begun = time.process_time()
                    if arm == "pixels":
                        scores = probed(pixels, labels, few, test)
                    elif arm.endswith("frozen"):
                        x = features[arm.split(",")[0]]
                        scores = probed(x, labels, few, test)
                    else:
                        run = trained(
                            path,
                            twin if arm == "from scratch" else start,
                            folder / "run",
                            study,
                            tuple(items[n] for n in few),
                            seed=seed,
                        )
                        network, _ = load_classifier(run)
                        logits = by_batches(everything.of(test), network)
                        scores = logits[:, 1] - logits[:, 0]
                    yield {
                        "study": study.name,
                        "arm": arm,
                        "share": share,
                        "labels": len(few),
                        "seed": seed,
                        "fold": number,
                        "auc": float(roc_auc_score(labels[test], scores)),
                        "cpu_seconds": round(time.process_time() - begun, 2),
                    }


def report(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean over seeds (of the mean over folds) with its 95 % interval."""
    table: dict[str, Any] = {}
    groups = dict.fromkeys((r["study"], r["arm"], r["share"]) for r in rows)
    for study, arm, share in groups:
        own = [
            r for r in rows if (r["study"], r["arm"], r["share"]) == (study, arm, share)
        ]
        of_seed: dict[int, list[float]] = {}
        for row in own:
            of_seed.setdefault(row["seed"], []).append(row["auc"])
        means = [
            statistics.mean(values)
            for values in of_seed.values()
            if len(values) == STUDIES[study].folds
        ]
        if len(means) < 2:
            continue
        half = float(stats.t.ppf(0.975, len(means) - 1)) * statistics.stdev(means)
        table.setdefault(study, {}).setdefault(arm, {})[f"{share:g}"] = {
            "auc": statistics.mean(means),
            "half_interval": half / len(means) ** 0.5,
            "seeds": len(means),
            "labels": statistics.mean(r["labels"] for r in own),
            "by_seed": means,
        }
    return table


def markdown(table: dict[str, Any]) -> str:
    """Return the summary as tables."""
    lines = []
    for study, arms in table.items():
        budgets = list(next(iter(arms.values())))
        counts = [round(next(iter(arms.values()))[b]["labels"]) for b in budgets]
        heads = [
            f"{float(b):.0%} ({n} labels)" for b, n in zip(budgets, counts, strict=True)
        ]
        lines += ["", f"| {study}, AUC | " + " | ".join(heads) + " |"]
        lines.append("|---|" + "---|" * len(budgets))
        for arm, of_budget in arms.items():
            cells = [
                f"{c['auc']:.3f} ± {c['half_interval']:.3f}" for c in of_budget.values()
            ]
            lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Do what is not done yet, piece by piece."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--studies", nargs="+", default=list(STUDIES))
    parser.add_argument("--arms", nargs="+", default=list(ARMS), choices=ARMS)
    parser.add_argument("--seeds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    seed_everything(0, "radiographs")
    rows: list[dict[str, Any]] = []
    if given.out.exists():
        rows = json.loads(given.out.read_text())["rows"]
    done = {(r["study"], r["arm"], r["share"], r["seed"], r["fold"]) for r in rows}
    for name in given.studies:
        for row in pieces(
            STUDIES[name],
            given.data,
            given.work,
            arms=given.arms,
            seeds=given.seeds,
            done=done,
        ):
            rows.append(row)
            document = {"summary": report(rows), "rows": rows}
            write_text(given.out, json.dumps(document, indent=1))
    print(markdown(report(rows)))


if __name__ == "__main__":
    main()
