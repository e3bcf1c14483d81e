"""How many nodules are found after a few labelled scans, on phantoms.

Detectors are trained on 5 and on 20 labelled phantom scans, drawn anew for every seed,
and judged on other patients: FROC with the hit rule of LUNA16, CPM, average precision.
Scans without nodules are among both. They start from scratch, from a DrasCLR
pre-training on the 20 scans without their labels, or from its untrained twin, which has
its curve of intensities and its atlas and has learned nothing.

Every (arm, scans, seed) is a piece with a file of its own in ``benchmarks/results/``.
Pieces that are there are not made again, and a training that was interrupted goes on.

Example: python benchmarks/nodules.py --seeds 3 --arms scratch drasclr
"""

from __future__ import annotations

import argparse
import json
import pickle
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nodule_cohort import SCAN_MM, SPACING_MM, make_cohort, write_labels
from pages import write_between
from resuming import finish, pretrained, untrained_twin
from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.run import RunConfig
from scanlearn.files import write_text
from scanlearn.metrics.froc import RATES
from scanlearn.new_run import (
    finetuning_config,
    new_finetuning,
    pretraining_config,
)
from scanlearn.pretraining.registry import method_named
from scanlearn.randomness import numpy_generator
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.detection.finding_set import FindingSet
from scanlearn.tasks.detection.judgement import judge_scans, score
from scanlearn.tasks.detection.labels import collect_findings
from scanlearn.tasks.detection.sphere_detector import Detector
from scanlearn.tasks.registry import task_named

RESULTS = Path(__file__).parent / "results" / "nodules"
PAGE = Path(__file__).parents[1] / "docs" / "detection.md"

#: Patients to draw labelled scans from, and those that are only tested on.
POOL, TEST = range(1, 21), range(25, 37)
BUDGETS = (5, 20)

#: Where a detector starts -> how the table calls it.
ARMS = {
    "scratch": "from scratch",
    "drasclr": "DrasCLR, quick",
    "untrained": "its untrained twin",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, default=Path("nodule_work"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    asked = parser.parse_args()
    asked.work = asked.work.absolute()
    cohort = Cohort(make_cohort(asked.work, range(1, max(TEST) + 1)))
    for seed in range(asked.seeds):
        for arm in asked.arms:
            for budget in BUDGETS:
                path = RESULTS / f"{arm}_{budget:02d}_scans_seed_{seed}.json"
                if not path.exists():
                    found = _piece(asked, cohort, arm, budget, seed)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    write_text(path, json.dumps(found, indent=1) + "\n")
                _tell(path)
    write_table(RESULTS)


def _piece(
    asked: argparse.Namespace, cohort: Cohort, arm: str, budget: int, seed: int
) -> dict[str, Any]:
    run = RunFolder(_train(asked, cohort, arm, budget, seed))
    table = write_labels(asked.work, list(TEST), asked.work / "test.csv")
    torch.set_num_threads(1)
    detector, judged = Detector(run.path), []
    for item in collect_findings(table, cohort).items:
        # Kept one by one: an interrupted judgement goes on too.
        kept = asked.work / "judged" / run.name / f"{item.scan}.pickle"
        if not kept.exists():
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_bytes(pickle.dumps(judge_scans(detector, cohort, [item])[0]))
        judged.append(pickle.loads(kept.read_bytes()))
    found = score(judged)
    assert found is not None
    return {
        "arm": arm,
        "scans": budget,
        "seed": seed,
        "labelled_nodules": FindingSet.load(run.inputs).count,
        "steps": asked.steps,
        "batch": asked.batch,
        "spacing_mm": SPACING_MM,
        "scan_mm": SCAN_MM,
        "rates": RATES,
        "scores": asdict(found),
        "torch": version("torch"),
        "machine": platform.machine(),
    }


def _encoder(asked: argparse.Namespace, arm: str) -> Path | None:
    """Return the run a detector starts from: made of the pool alone, once."""
    if arm == "scratch":
        return None

    def config() -> RunConfig:
        return pretraining_config(
            [make_cohort(asked.work, POOL, name="pool")],
            method=method_named("drasclr"),
            preset_name="quick",
            changes={"engine": {"threads": 1, "device": "cpu"}},
        )

    run = pretrained(asked.work / "runs" / "pretrained", config)
    return run if arm == "drasclr" else untrained_twin(run)


def _train(
    asked: argparse.Namespace, cohort: Cohort, arm: str, budget: int, seed: int
) -> Path:
    path = asked.work / "runs" / f"{arm}_{budget:02d}_{seed}"
    if not (path / "config.yaml").exists():
        order = numpy_generator(seed, "labelled").permutation(list(POOL))
        numbers = sorted(order[:budget].tolist())
        table = write_labels(asked.work, numbers, asked.work / f"{path.name}.csv")
        config = finetuning_config(
            [cohort.path],
            task=task_named("detection"),
            preset_name="quick",
            start_from=_encoder(asked, arm),
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


def write_table(results: Path) -> None:
    """Put the means over seeds between their marks in ``docs/detection.md``."""
    pieces = [json.loads(path.read_text("utf-8")) for path in results.glob("*.json")]
    heads = " | ".join(f"{rate:g}" for rate in RATES)
    lines = [
        f"| labelled scans (nodules) | start | seeds | {heads} "
        "| CPM (lowest to highest seed) | AP at 0.1 |",
        "|" + "---|" * (len(RATES) + 5),
    ]
    order = [(budget, arm) for budget in BUDGETS for arm in ARMS]
    for budget, arm in order:
        wanted = (budget, arm)
        mine = [one for one in pieces if (one["scans"], one["arm"]) == wanted]
        if not mine:
            continue
        found = [piece["scores"] for piece in mine]
        cpm = [one["cpm"] for one in found]
        rates = np.mean([one["sensitivities"] for one in found], axis=0)
        labels = sorted(piece["labelled_nodules"] for piece in mine)
        cells = [
            f"{budget} ({labels[0]} to {labels[-1]})",
            ARMS[arm],
            str(len(mine)),
            *(f"{value:.2f}" for value in rates),
            f"{np.mean(cpm):.2f} ({min(cpm):.2f} to {max(cpm):.2f})",
            f"{np.mean([one['ap'] for one in found]):.2f}",
        ]
        lines.append("| " + " | ".join(cells) + " |")
    write_between(PAGE, "nodules", "\n".join(lines) + "\n")


def _tell(path: Path) -> None:
    found = json.loads(path.read_text("utf-8"))["scores"]
    rates = " ".join(f"{value:.2f}" for value in found["sensitivities"])
    print(f"{path.stem}: CPM {found['cpm']:.3f} AP {found['ap']:.3f} at rates {rates}")


if __name__ == "__main__":
    main()
