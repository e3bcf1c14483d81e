"""What pre-training gives: frozen features of patients, against simpler things.

A cohort of phantoms with graded emphysema is made and prepared; encoders are trained on
it without labels, one for each arm and seed. Linear models then read the extent of
emphysema (R^2) and its subtype (balanced accuracy) off one vector a patient, 5-fold by
patient. So they do with the same network untrained, and with what the field measures
without learning.

Every (arm, seed) is a piece with a file of its own in ``benchmarks/results/``. Pieces
that are there are not made again, and a training that was interrupted goes on from its
last checkpoint. At the end the table in ``docs/evidence.md`` is made of all pieces.

Example: python benchmarks/phantom_study.py --seeds 5
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import Ridge
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from probes import (
    logistic_predictions,
    r_squared,
    ridge_predictions,
)
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.config.run import merge
from scanlearn.files import write_text
from scanlearn.metrics.class_scores import balanced_accuracy
from scanlearn.new_run import new_pretraining, pretraining_config
from scanlearn.pretraining.registry import method_named, method_of
from scanlearn.runs.events import Crashed, Health
from scanlearn.runs.folder import RunFolder
from scanlearn.worker import train_run
from study_cohort import SPACING_MM, make_cohort, read_truth
from study_features import (
    Vectors,
    density_vectors,
    encoder_vectors,
    histogram_vectors,
    names_of,
    nuisance_vectors,
    patch_densities,
)
from study_table import write_tables

RESULTS = Path(__file__).parent / "results" / "phantom_study"

#: Of the ridge regression on patches; there are many more of them than features.
_PATCH_PENALTY = 10.0


#: What an arm changes in the preset ``quick``, one thing each; the paper's claims are
#: location, neighbours and queues by landmark.
ARMS: dict[str, dict[str, Any]] = {
    "untrained": {"engine": {"steps": 0}},
    "quick": {},
    "without location": {"recipe": {"encoder": {"location": False}}},
    "with neighbours": {"recipe": {"neighbours": 2}},
    # As long as training with neighbours takes.
    "twice the steps": {"engine": {"steps": 2000}},
    "one queue a landmark": {"recipe": {"queue": 64, "in_batch": False}},
    "one global queue": {
        "recipe": {"queue": 64, "in_batch": False, "shared_queue": True}
    },
    "without knee": {"recipe": {"encoder": {"knee_hu": None}}},
}
MEASURES: dict[str, Callable[[Path], Vectors]] = {
    "LAA-950 + Perc15": density_vectors,
    "histogram": histogram_vectors,
    "noise and lung size": nuisance_vectors,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=RESULTS.parent / "work")
    parser.add_argument("--patients", type=int, default=80)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--arms", nargs="*", default=[*MEASURES, *ARMS])
    parser.add_argument("--real", type=Path, help="CT scans to pre-train on as well")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    study = Study(options)
    for seed in range(options.seeds):
        for arm in options.arms:
            study.piece(arm, seed)
    write_tables(RESULTS)


class Study:
    """The cohort, and one piece at a time."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.work, self.threads = options.work, options.threads
        self.phantoms = make_cohort(self.work / "phantoms", options.patients)
        self.cohorts, self.unlabelled = [self.phantoms], 0
        if options.real:
            settings = PrepareConfig(spacing_mm=SPACING_MM, workers=0)
            real = prepare(options.real, self.work / "real", settings)
            self.cohorts.append(real.cohort)
            self.unlabelled = len(real.prepared) + len(real.kept)
        known = read_truth(self.work / "phantoms")
        self.names = names_of(self.phantoms)
        if len(set(self.names)) < len(self.names):
            raise SystemExit(f"{self.phantoms} holds some phantoms twice: remove it")
        self.percent = np.array([known[name].percent for name in self.names])
        self.subtype = np.array([known[name].subtype for name in self.names])

    def piece(self, arm: str, seed: int) -> None:
        """Make a piece and write its file, unless that is there."""
        path = RESULTS / f"{arm.replace(' ', '_')}_seed{seed}.json"
        if path.exists():
            return
        if arm in MEASURES:
            vectors, facts = MEASURES[arm](self.phantoms), {}
        else:
            run, facts = self._trained(arm, seed)
            vectors, patches = encoder_vectors(run, self.phantoms)
            facts["patches"] = self._patches(patches)
        scores = {name: self._probe(rows, seed) for name, rows in vectors.items()}
        for name, score in scores.items():
            told = f"R2 {score['r2']:.3f}, {score['balanced_accuracy']:.3f}"
            print(f"{arm}, seed {seed}, {name}: {told}", flush=True)
        piece = {
            "arm": arm,
            "seed": seed,
            **facts,
            "patients": len(self.names),
            "scans_without_labels": self.unlabelled,
            "truth": {"percent": self.percent.tolist(), "subtype": [*self.subtype]},
            "scores": scores,
            "machine": f"{platform.machine()}, {self.threads} thread",
            "versions": {name: version(name) for name in ("torch", "scikit-learn")},
        }
        RESULTS.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(piece))

    def _trained(self, arm: str, seed: int) -> tuple[Path, dict[str, Any]]:
        """Pre-train an arm's encoder, from its last checkpoint if there is one."""
        path = self.work / "runs" / f"{arm.replace(' ', '_')}_seed{seed}"
        changes = {
            "engine": {"seed": seed, "threads": self.threads},
            # Phantoms lie alike: the boxes of their lungs will do, and save the
            # registration of all scans in every piece.
            "recipe": {"landmarks": {"coords": "bbox"}},
        }
        changes = merge(changes, ARMS[arm])
        run = RunFolder(path) if path.exists() else self._new_run(path, changes)
        begun, health = time.process_time(), None
        for event in train_run(run):
            if isinstance(event, Crashed):
                raise SystemExit(f"{arm}, seed {seed}: {event.error}")
            health = event if isinstance(event, Health) else health
        facts = {
            "changes": ARMS[arm],
            "recipe": run.config().recipe.model_dump(mode="json"),
            "steps": run.config().engine.steps,
            "cpu_minutes": round((time.process_time() - begun) / 60, 2),
            "health": health.values if health else {},
        }
        return run.path, facts

    def _new_run(self, path: Path, changes: dict[str, Any]) -> RunFolder:
        config = pretraining_config(
            self.cohorts,
            method=method_named("drasclr"),
            preset_name="quick",
            changes=changes,
        )
        return new_pretraining(method_of(config), config, path)

    def _patches(self, patches: Any) -> dict[str, list[float]]:
        """Read the density of a patch off its features, folds by patient.

        Returns
        -------
        residual, total
            Sums of squares of each patient's patches.
        """
        truth = patch_densities(self.phantoms)
        patients, landmarks, _ = patches.shape
        who = np.repeat(np.arange(patients), landmarks)
        rows = patches.reshape(patients * landmarks, -1)
        found = cross_val_predict(
            make_pipeline(StandardScaler(), Ridge(_PATCH_PENALTY)),
            rows,
            truth.ravel(),
            groups=who,
            cv=GroupKFold(5),
        )
        residual = (found.reshape(truth.shape) - truth) ** 2
        total = (truth - truth.mean()) ** 2
        return {
            "residual": np.round(residual.sum(axis=1), 1).tolist(),
            "total": np.round(total.sum(axis=1), 1).tolist(),
        }

    def _probe(self, rows: Any, seed: int) -> dict[str, Any]:
        percent = ridge_predictions(rows, self.percent, self.subtype, seed=seed)
        subtype = logistic_predictions(rows, self.subtype, seed=seed)
        return {
            "r2": r_squared(self.percent, percent),
            "balanced_accuracy": balanced_accuracy(self.subtype, subtype),
            "percent": np.round(percent, 3).tolist(),
            "subtype": [str(name) for name in subtype],
        }


if __name__ == "__main__":
    main()
