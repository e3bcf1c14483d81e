"""Outcomes of phantoms: lung function, severity and survival from vectors of scans.

The simulated course of a phantom follows its emphysema and its largest nodule, so
LAA-950 alone is a strong baseline. Every patient is predicted by a model of the other
folds. The vectors are histograms of the lungs' densities (no encoder), those of a
DrasCLR pre-training on the same scans without their outcomes, or those of its untrained
twin: the same network at the same places, which has learned nothing.

Every arm is a file of its own in ``benchmarks/results/outcomes/``; those that are there
are not made again. At the end the table in ``docs/outcomes.md`` is made of all arms.

    python benchmarks/outcomes.py --work outcome_work
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from pages import write_between
from resuming import pretrained, untrained_twin
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.config.run import RunConfig
from scanlearn.files import write_text
from scanlearn.new_run import (
    finetuning_config,
    labels_for,
    new_finetuning,
    pretraining_config,
)
from scanlearn.phantom.sample import write_sample
from scanlearn.pretraining.registry import method_named
from scanlearn.runs.events import Crashed
from scanlearn.tasks.outcome.card import load_outcome
from scanlearn.tasks.registry import task_named, task_of
from scanlearn.worker import train_run

RESULTS = Path(__file__).parent / "results" / "outcomes"
PAGE = Path(__file__).parents[1] / "docs" / "outcomes.md"

TARGETS = {
    "fev1_percent": "lung function",
    "severity": "severity, 4 grades",
    "time": "survival",
}
#: What the vectors come from -> how the table calls it.
ARMS = {
    "none": "no encoder",
    "untrained": "untrained twin",
    "drasclr": "DrasCLR, quick",
}
SEEDS, SCANS = 5, 60
SPACING_MM = 3.0

#: Scores by target, set of features and metric, one number a seed.
Scores = dict[str, dict[str, dict[str, list[float]]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=Path("outcome_work"))
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    asked = parser.parse_args()
    cohort, table = cohort_of(asked.work.absolute())
    for arm in asked.arms:
        path = RESULTS / f"{arm}.json"
        if not path.exists():
            start = _encoder(asked.work.absolute(), cohort, arm)
            about = {
                "arm": arm,
                "scans": SCANS,
                "seeds": SEEDS,
                "held_out": {t: scores(cohort, table, t, start) for t in TARGETS},
            }
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(about, indent=1) + "\n")
    write_table()


def cohort_of(work: Path) -> tuple[Path, Path]:
    """Make or complete a cohort of phantoms and the table of their courses."""
    sample, cohort = work / "sample", work / "cohort"
    if not (sample / "outcomes.csv").exists():
        write_sample(sample, scans=SCANS, seed=7, spacing_mm=(5.0, 3.0, 3.0))
    prepare(sample / "scans", cohort, PrepareConfig(spacing_mm=SPACING_MM, workers=0))
    return cohort, sample / "outcomes.csv"


def scores(
    cohort: Path, table: Path, target: str, start: Path | None
) -> dict[str, dict[str, list[float]]]:
    """Return the held-out scores by set of features, one for each seed of the folds."""
    found: dict[str, dict[str, list[float]]] = {}
    for held_out in _of_seeds(cohort, table, target, start):
        for name, values in held_out.items():
            for metric, value in values.items():
                found.setdefault(name, {}).setdefault(metric, []).append(value)
    return found


def _of_seeds(
    cohort: Path, table: Path, target: str, start: Path | None
) -> Iterator[dict[str, dict[str, float]]]:
    for seed in range(SEEDS):
        config = finetuning_config(
            [cohort],
            task=task_named("outcome"),
            preset_name="quick",
            start_from=start,
            changes={"recipe": {"target": target}, "engine": {"seed": seed}},
        )
        with tempfile.TemporaryDirectory() as folder:
            run = new_finetuning(
                config, labels_for(task_of(config), config, table), Path(folder) / "r"
            )
            last = list(train_run(run))[-1]
            if isinstance(last, Crashed):
                raise SystemExit(last.error)
            yield load_outcome(run.path)[2].held_out


def _encoder(work: Path, cohort: Path, arm: str) -> Path | None:
    """Return the run whose encoder makes the vectors; pre-trained once."""
    if arm == "none":
        return None

    def config() -> RunConfig:
        # Patches of 16 voxels: the phantoms are coarser than the preset.
        recipe = {"spacing_mm": SPACING_MM, "landmarks": {"patch_mm": 48.0}}
        return pretraining_config(
            [cohort],
            method=method_named("drasclr"),
            preset_name="quick",
            changes={"recipe": recipe, "engine": {"threads": 1, "device": "cpu"}},
        )

    run = pretrained(work / "runs" / "drasclr", config)
    return run if arm == "drasclr" else untrained_twin(run)


def write_table() -> None:
    """Put means and intervals of all arms between their marks in the page."""
    found: dict[str, Scores] = {}
    for arm in ARMS:
        path = RESULTS / f"{arm}.json"
        if path.exists():
            about: dict[str, Any] = json.loads(path.read_text("utf-8"))
            found[arm] = about["held_out"]
    if not found:
        return
    heads = [f"scans, {ARMS[arm]}" for arm in found] + ["LAA-950 alone"]
    lines = [
        f"| target | score | {' | '.join(heads)} |",
        "|---" * (len(heads) + 2) + "|",
    ]
    some = next(iter(found.values()))
    for target, title in TARGETS.items():
        for metric in some[target]["scans"]:
            cells = [_cell(arm[target]["scans"][metric]) for arm in found.values()]
            cells.append(_cell(some[target]["LAA-950"][metric]))
            lines.append(f"| {title} | {metric} | {' | '.join(cells)} |")
    print("\n".join(lines))
    write_between(PAGE, "outcomes", "\n".join(lines) + "\n")


def _cell(values: list[float]) -> str:
    mean, n = float(np.mean(values)), len(values)
    half = stats.t.ppf(0.975, n - 1) * stats.sem(values) if n > 1 else 0.0
    return f"{mean:.2f} [{mean - half:.2f}, {mean + half:.2f}]"


if __name__ == "__main__":
    main()
