"""Starts, stops, kills and resumes trainings through the docks' own code, many times.

    python benchmarks/soak.py OUT [--runs 200] [--seed 0]

Every run is launched as a dock launches it and followed by a dock's card. It is left to
finish, stopped, killed, signalled or left alone by its card at a random moment, then
resumed to its end. All have the same settings, so all must end with the same weights.
Ends with 1 when a process is left over, a file is lost or left half written, weights
differ, or memory, threads or open files of the watching process grow.
``OUT/soak.json`` tells.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
from qtpy.QtCore import QEvent, QThreadPool
from qtpy.QtWidgets import QApplication

from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.gui.runs.run_card import RunCard
from scanlearn.new_run import new_pretraining, pretraining_config
from scanlearn.phantom.sample import write_sample
from scanlearn.pretraining.registry import method_named, method_of
from scanlearn.runs.folder import RunFolder
from scanlearn.runs.launch import launch

RECIPE = {
    "spacing_mm": None,
    "encoder": {"width": 2, "dim": 8, "experts": 2},
    "head_dim": 8,
    "landmarks": {"at_most": 6, "patch_mm": 64.0},
    "batch": 4,
    "momentum": 0.9,
}
ENGINE = {
    **{"steps": 40, "device": "cpu", "precision": "no", "threads": 1},
    **{"log_every": 1, "save_every": 5, "validate_every": 20},
}

#: What is done to a run; a signal is sent to its worker.
ENDINGS = ("finish", "stop", "kill", "SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "detach")

#: No start, training or end may take longer.
PATIENCE_S = 300.0

#: Beyond what the first tenth of the runs needed.
GROWTH = {"memory_mib": 64.0, "threads": 4, "files": 16}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    # Those of a shell's background ignore Ctrl-C, and so would all workers.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    cohort = _cohort(asked.out)
    random.seed(asked.seed)
    soak = Soak(asked.out, cohort)
    for number in range(asked.runs):
        soak.one(f"{number:03d}", "finish" if number == 0 else random.choice(ENDINGS))
    report = soak.report()
    (asked.out / "soak.json").write_text(json.dumps(report, indent=1) + "\n")
    print(json.dumps(report, indent=1))
    return 1 if report["faults"] else 0


def _cohort(out: Path) -> Path:
    os.environ["SCANLEARN_HOME"] = str(out / "home")
    cohort = out / "cohort"
    if not cohort.exists():
        write_sample(out / "sample", scans=4)
        settings = PrepareConfig(spacing_mm=4.0, workers=0)
        prepare(out / "sample" / "scans", cohort, settings)
    return cohort


class Soak:
    """What is done to runs one after another, and what was found."""

    def __init__(self, out: Path, cohort: Path) -> None:
        self.application = QApplication.instance() or QApplication([])
        self.runs = out / f"runs-{time.strftime('%H%M%S')}"
        self.cohort = cohort
        self.faults: list[str] = []
        self.endings: Counter[str] = Counter()
        self.resumed = 0
        self.weights = ""
        self.levels: list[dict[str, float]] = []
        self.started = time.monotonic()

    def one(self, name: str, ending: str) -> None:
        """Begin a run, end it in one way, and see that it comes to its end."""
        print(f"{name} {ending}", flush=True)
        self.endings[ending] += 1
        run = self._new(name)
        worker, card = self._begin(run)
        moment = random.randrange(ENGINE["steps"])
        self._wait(lambda: card.story.step >= moment, run, card)
        self._end(ending, run, worker, card)
        if run.state() != "finished":
            self.resumed += 1
            self._over(run, *self._begin(run))
        self._look_at(run)

    def _new(self, name: str) -> RunFolder:
        config = pretraining_config(
            [self.cohort],
            method=method_named("drasclr"),
            preset_name="quick",
            changes={"recipe": RECIPE, "engine": ENGINE},
        )
        return new_pretraining(method_of(config), config, self.runs / name)

    def _begin(self, run: RunFolder) -> tuple[subprocess.Popen[bytes], RunCard]:
        worker = launch(run)
        return worker, RunCard(run, activity=False)

    def _end(
        self,
        ending: str,
        run: RunFolder,
        worker: subprocess.Popen[bytes],
        card: RunCard,
    ) -> None:
        if ending == "stop":
            card.stop()
        elif ending == "kill":
            card.kill()
        elif ending == "detach":
            card.detach()
        elif ending != "finish":
            worker.send_signal(getattr(signal, ending))
        self._over(run, worker, card)

    def _over(
        self, run: RunFolder, worker: subprocess.Popen[bytes], card: RunCard
    ) -> None:
        self._wait(lambda: worker.poll() is not None, run)
        self._wait(lambda: not run.is_alive(), run)
        # A detached card hears nothing of the end.
        until = time.monotonic() + 10
        while card.story.last is None and time.monotonic() < until:
            self.application.processEvents()
            time.sleep(0.02)
        card.detach()
        # Its watch ends at the next heartbeat.
        while QThreadPool.globalInstance().activeThreadCount():
            self.application.processEvents()
            time.sleep(0.02)
        card.deleteLater()
        # Without a loop that runs, Qt would keep all cards until the end.
        self.application.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)

    def _wait(self, done, run: RunFolder, card: RunCard | None = None) -> None:  # type: ignore[no-untyped-def]
        until = time.monotonic() + PATIENCE_S
        while not (done() or (card is not None and card.story.last is not None)):
            self.application.processEvents()
            time.sleep(0.02)
            if time.monotonic() > until:
                self.faults.append(f"{run.name} hangs")
                run.kill()
                return

    def _look_at(self, run: RunFolder) -> None:
        """Compare a finished run with the first, and this process with before."""
        if run.state() != "finished":
            self.faults.append(f"{run.name} is {run.state()}: {run.crash_report()}")
            return
        left = [str(path) for path in run.path.rglob(".*")]
        if left or run.stop_file.exists():
            self.faults.append(f"{run.name} keeps {left or 'its stop'}")
        file = run.checkpoints / "encoder.safetensors"
        weights = hashlib.sha256(file.read_bytes()).hexdigest()
        self.weights = self.weights or weights
        if weights != self.weights:
            self.faults.append(f"{run.name} ends with other weights")
        here = psutil.Process()
        for child in here.children(recursive=True):
            self.faults.append(f"{run.name} leaves {child.name()} {child.pid}")
        self.levels.append(
            {
                "memory_mib": here.memory_info().rss / 2**20,
                "threads": here.num_threads(),
                "files": here.num_fds() if hasattr(here, "num_fds") else 0,
            }
        )

    def report(self) -> dict[str, object]:
        """Return what was done and found."""
        calm = max(1, len(self.levels) // 10)
        before = {k: max(one[k] for one in self.levels[:calm]) for k in GROWTH}
        after = {k: self.levels[-1][k] for k in GROWTH}
        for name, most in GROWTH.items():
            if after[name] - before[name] > most:
                self.faults.append(f"{name} grew from {before[name]} to {after[name]}")
        return {
            "runs": len(self.levels),
            "endings": dict(self.endings),
            "resumed": self.resumed,
            "minutes": round((time.monotonic() - self.started) / 60, 1),
            "levels_at_first": before,
            "levels_at_last": after,
            "memory_mib": [round(one["memory_mib"]) for one in self.levels],
            "faults": self.faults,
        }


if __name__ == "__main__":
    sys.exit(main())
