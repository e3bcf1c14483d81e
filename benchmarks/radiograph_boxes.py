"""How many nodules are boxed on radiographs after a few labels, on phantoms.

Detectors are trained from scratch on 15 and on 45 labelled phantom radiographs, drawn
anew for every seed, and judged on other patients: sensitivity at false positives a
radiograph, average precision at overlaps of 0.1 and 0.5. Radiographs without nodules
are among both. The shadows of soft nodules are fainter than those of ribs and vessels
and can hardly be seen; so the same nodules are judged as dense ones, too, with the
shadow of a ball that takes a tenth of the picture's range at its middle.

Every (nodules, radiographs, seed) is a piece with a file of its own in
``benchmarks/results/``. Pieces that are there are not made again, and a training that
was interrupted goes on.

Example: python benchmarks/radiograph_boxes.py --seeds 3
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Iterable
from dataclasses import asdict, replace
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pages import write_between
from resuming import finish
from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.files import write_text
from scanlearn.new_run import finetuning_config, new_finetuning
from scanlearn.phantom.radiograph import Radiograph, make_radiograph, write_png
from scanlearn.phantom.tables import BOXES, Row, box_rows, write_table
from scanlearn.randomness import numpy_generator
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.detection.box_detector import BoxDetector
from scanlearn.tasks.detection.finding_set import FindingSet
from scanlearn.tasks.detection.judgement import JudgedScan, judge_radiographs, score
from scanlearn.tasks.detection.labels import collect_findings
from scanlearn.tasks.registry import task_named

RESULTS = Path(__file__).parent / "results" / "radiograph_boxes"
PAGE = Path(__file__).parents[1] / "docs" / "detection.md"

#: Patients to draw labelled radiographs from, and those that are only tested on.
POOL, TEST = range(1, 46), range(51, 76)
BUDGETS = (15, 45)
SIZE, _SEED = 256, 733

#: How dense nodules are -> grey levels of 4096 that their middle is brightened by.
NODULES = {"soft": 0, "dense": 400}

#: False positives a radiograph that the table tells.
TOLD = (0.25, 0.5, 1.0, 2.0, 4.0)

#: Pixels of 1.5 mm that part small boxes from large ones.
LARGE = 8.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("box_work"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=8)
    asked = parser.parse_args()
    asked.work = asked.work.absolute()
    torch.set_num_threads(1)
    folder = asked.work
    for nodules in NODULES:
        asked.work = folder / nodules
        cohort = _cohort(asked.work, NODULES[nodules])
        for seed in range(asked.seeds):
            for budget in BUDGETS:
                path = RESULTS / f"{nodules}_{budget:02d}_radiographs_seed_{seed}.json"
                if not path.exists():
                    found = _piece(asked, cohort, budget, seed) | {"nodules": nodules}
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_text(path, json.dumps(found, indent=1) + "\n")
                print(path.stem, json.loads(path.read_text("utf-8"))["scores"]["ap"])
    write_page(RESULTS)


def _cohort(work: Path, brightened: int) -> Cohort:
    """Make or complete the prepared cohort; what is there is kept."""
    for number in (*POOL, *TEST):
        known = _rows_file(work, number)
        if not known.exists():
            image = _denser(make_radiograph(_SEED, number), brightened)
            path = write_png(work / "scans" / f"{image.name}.png", image)
            write_text(known, json.dumps(box_rows(str(path), image)))
    prepare(
        work / "scans",
        work / "cohort",
        PrepareConfig(radiograph_size=SIZE, workers=0),
    )
    return Cohort(work / "cohort")


def _denser(image: Radiograph, levels: int) -> Radiograph:
    """Return a radiograph with the shadows of balls laid over its nodules."""
    pixels = image.pixels.astype(np.float64)
    rows, columns = np.mgrid[: pixels.shape[0], : pixels.shape[1]]
    for box in image.boxes:
        across = (columns - box.x - box.width / 2) / (box.width / 2)
        down = (rows - box.y - box.height / 2) / (box.height / 2)
        pixels += levels * np.sqrt(np.clip(1 - across**2 - down**2, 0, None))
    return replace(image, pixels=pixels.clip(0, 4095).astype(np.uint16))


def _rows_file(work: Path, number: int) -> Path:
    return work / "rows" / f"{number:04d}.json"


def _labels(work: Path, numbers: Iterable[int], table: Path) -> Path:
    rows: list[Row] = []
    for number in numbers:
        rows += json.loads(_rows_file(work, number).read_text("utf-8"))
    return write_table(table, BOXES, rows)


def _piece(
    asked: argparse.Namespace, cohort: Cohort, budget: int, seed: int
) -> dict[str, Any]:
    run = RunFolder(_train(asked, cohort, budget, seed))
    table = _labels(asked.work, TEST, asked.work / "test.csv")
    items = collect_findings(table, cohort).items
    judged = judge_radiographs(BoxDetector(run.path), cohort, items)
    found = score(judged, by_diameter=False)
    assert found is not None
    return {
        "radiographs": budget,
        "seed": seed,
        "labelled_boxes": FindingSet.load(run.inputs).count,
        "steps": asked.steps,
        "batch": asked.batch,
        "scores": asdict(found),
        "at_one": _at_one(judged, found.threshold),
        "torch": version("torch"),
        "machine": platform.machine(),
    }


def _at_one(judged: list[JudgedScan], threshold: float) -> dict[str, tuple[int, int]]:
    """Return (found, all) of small and large boxes at one false positive."""
    hits = np.concatenate([one.judged.hits for one in judged]) >= threshold
    large = np.concatenate([one.judged.diameters for one in judged]) >= LARGE
    return {
        name: (int(hits[chosen].sum()), int(chosen.sum()))
        for name, chosen in (("small", ~large), ("large", large))
    }


def _train(asked: argparse.Namespace, cohort: Cohort, budget: int, seed: int) -> Path:
    path = asked.work / "runs" / f"{budget:02d}_{seed}"
    if not (path / "config.yaml").exists():
        order = numpy_generator(seed, "labelled").permutation(list(POOL))
        table = _labels(
            asked.work, sorted(order[:budget].tolist()), asked.work / "few.csv"
        )
        config = finetuning_config(
            [cohort.path],
            task=task_named("detection"),
            preset_name="quick",
            start_from=None,
            changes={
                # The same number of updates for every budget, none held out.
                "recipe": {"validation": 0, "batch": asked.batch},
                "engine": {
                    "steps": asked.steps,
                    "seed": seed,
                    "threads": 1,
                    "device": "cpu",
                },
            },
        )
        new_finetuning(config, collect_findings(table, cohort), path)
    finish(RunFolder(path))
    return path


def write_page(results: Path) -> None:
    """Put the means over seeds between their marks in ``docs/detection.md``."""
    pieces = [json.loads(path.read_text("utf-8")) for path in results.glob("*.json")]
    heads = " | ".join(f"{rate:g}" for rate in TOLD)
    lines = [
        f"| nodules | labelled radiographs (boxes) | seeds | {heads} | below 12 mm "
        "| from 12 mm | AP at 0.1 (lowest to highest seed) | AP at 0.5 |",
        "|" + "---|" * (len(TOLD) + 7),
    ]
    for nodules, budget in product(NODULES, BUDGETS):
        wanted = (nodules, budget)
        mine = [p for p in pieces if (p["nodules"], p["radiographs"]) == wanted]
        if mine:
            cells = [nodules, *_cells(budget, mine)]
            lines.append("| " + " | ".join(cells) + " |")
    write_between(PAGE, "boxes", "\n".join(lines) + "\n")


def _cells(budget: int, mine: list[dict[str, Any]]) -> list[str]:
    found = [piece["scores"] for piece in mine]
    labels = sorted(piece["labelled_boxes"] for piece in mine)
    aps = [one["ap"] for one in found]
    curves = [[_at(one["curve"], rate) for rate in TOLD] for one in found]
    sizes = [
        f"{sum(p['at_one'][n][0] for p in mine) / len(mine):.1f} of "
        f"{mine[0]['at_one'][n][1]}"
        for n in ("small", "large")
    ]
    return [
        f"{budget} ({labels[0]} to {labels[-1]})",
        str(len(mine)),
        *(f"{value:.2f}" for value in np.mean(curves, axis=0)),
        *sizes,
        f"{np.mean(aps):.2f} ({min(aps):.2f} to {max(aps):.2f})",
        f"{np.mean([one['ap_half'] for one in found]):.2f}",
    ]


def _at(curve: dict[str, list[float]], rate: float) -> float:
    pairs = zip(curve["rates"], curve["sensitivities"], strict=True)
    return max(found for at, found in pairs if at <= rate)


if __name__ == "__main__":
    main()
