"""Outcomes of phantoms: lung function, severity and survival from vectors of scans.

The simulated course of a phantom follows its emphysema and its largest nodule, so
LAA-950
alone is a strong baseline. Every patient is predicted by a model of the other folds.

    python benchmarks/outcomes.py FOLDER --out outcomes.json [--run PRETRAINED]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy import stats

from scanlearn.app import train_run
from scanlearn.cohort.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.launching import finetuning_config, labels_for, new_finetuning
from scanlearn.phantom.sample import write_sample
from scanlearn.probing.outcome_file import load_outcome
from scanlearn.runs.events import Crashed

TARGETS = ("fev1_percent", "severity", "time")
SEEDS = 5


def cohort_of(folder: Path, scans: int) -> tuple[Path, Path]:
    """Return a cohort of phantoms and the table of their courses; made once."""
    sample, cohort = folder / "sample", folder / "cohort"
    if not sample.exists():
        write_sample(sample, scans=scans, seed=7, spacing_mm=(5.0, 3.0, 3.0))
    if not cohort.exists():
        prepare(sample / "scans", cohort, PrepareConfig(spacing_mm=3.0, workers=0))
    return cohort, sample / "outcomes.csv"


def scores(
    cohort: Path, table: Path, target: str, start: Path | None
) -> Iterator[dict[str, dict[str, float]]]:
    """Yield the held-out scores by set of features, for each seed of the folds."""
    for seed in range(SEEDS):
        config = finetuning_config(
            [cohort],
            task="outcome",
            preset_name="quick",
            start_from=start,
            changes={"recipe": {"target": target}, "engine": {"seed": seed}},
        )
        with tempfile.TemporaryDirectory() as folder:
            run = new_finetuning(config, labels_for(config, table), Path(folder) / "r")
            last = list(train_run(run))[-1]
            if isinstance(last, Crashed):
                raise SystemExit(last.error)
            yield load_outcome(run.path)[2].held_out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scans", type=int, default=60)
    parser.add_argument("--run", type=Path, help="whose encoder makes the vectors")
    asked = parser.parse_args()
    cohort, table = cohort_of(asked.folder, asked.scans)
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    for target in TARGETS:
        rows: dict[str, dict[str, list[float]]] = {}
        for held_out in scores(cohort, table, target, asked.run):
            for name, values in held_out.items():
                for metric, value in values.items():
                    rows.setdefault(name, {}).setdefault(metric, []).append(value)
        found[target] = rows
        for name, metrics in rows.items():
            cells = (f"{m} {_interval(v)}" for m, v in metrics.items())
            print(f"{target:13} {name:8}", " · ".join(cells), flush=True)
    about = {"scans": asked.scans, "seeds": SEEDS, "held_out": found}
    asked.out.write_text(json.dumps(about, indent=1))


def _interval(values: list[float]) -> str:
    mean, n = float(np.mean(values)), len(values)
    half = stats.t.ppf(0.975, n - 1) * stats.sem(values) if n > 1 else 0.0
    return f"{mean:.3f} [{mean - half:.3f}, {mean + half:.3f}]"


if __name__ == "__main__":
    main()
