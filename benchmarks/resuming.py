"""Trainings of benchmarks: an interrupted one goes on, a finished one stays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scanlearn.comparison.untrained import write_untrained
from scanlearn.config.run import RunConfig
from scanlearn.new_run import new_pretraining
from scanlearn.pretraining.registry import method_of
from scanlearn.runs.events import Finished
from scanlearn.runs.folder import RunFolder
from scanlearn.worker import train_run


def finish(run: RunFolder) -> None:
    """Train until the end; what keeps it from that ends the benchmark."""
    if run.state() != "finished":
        *_, last = train_run(run)
        if not isinstance(last, Finished):
            raise SystemExit(getattr(last, "details", "stopped: start again to go on"))


def pretrained(path: Path, config: Callable[[], RunConfig]) -> Path:
    """Return a pre-training, made once; ``config()`` is asked for where it is new."""
    if not (path / "config.yaml").exists():
        new_pretraining(method_of(config()), config(), path)
    finish(RunFolder(path))
    return path


def untrained_twin(run: Path) -> Path:
    """Return the run beside a pre-training that has its network and learned nothing."""
    twin = run.with_name("twin")
    if not twin.exists():
        write_untrained(run, twin, seed=0)
    return twin
