"""The hallway: opens a run, builds what it learns, trains it, writes its story.

The doors look up the method or task of the run and hand it in.
"""

from __future__ import annotations

import platform
import traceback
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from accelerate import Accelerator

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.quality.stored_voxels import check_sample
from scanlearn.config.run import RunConfig
from scanlearn.engine.devices import device_name, make_accelerator, memory_in_use
from scanlearn.engine.fitting import Fit, fit_at_once
from scanlearn.engine.loop import train
from scanlearn.engine.recipe import Recipe
from scanlearn.errors import Diverged, ScanlearnError, of_the_world
from scanlearn.randomness import seed_everything
from scanlearn.runs.events import Crashed, Event, Saved
from scanlearn.runs.folder import EventLog, RunFolder


class Learnable(Protocol):
    """A method or a task: what a run learns."""

    def learn(self, config: RunConfig, run: RunFolder) -> Recipe | Fit:
        """Build what a run trains step by step, or fits at once."""
        ...


def train_run(
    run: RunFolder,
    learnable: Learnable,
    *,
    stop_asked: Callable[[], bool] = lambda: False,
) -> Iterator[Event]:
    """Train a run in this process, from where it stands, and write its events.

    Every failure becomes a ``crashed`` event: whoever watches learns of it there.

    Parameters
    ----------
    run
        The run.
    learnable
        The method or the task that its configuration names.
    stop_asked
        Asked after every step, beside the run's ``stop`` file; when true, the model is
        saved and the training ends.
    """
    config = run.config()
    try:
        accelerator = make_accelerator(config.engine)
    except ScanlearnError as error:
        yield from _written(run, iter([_crashed(error)]))
        return
    if not accelerator.is_main_process:
        # The other processes of a distributed training train along in silence.
        for _ in _train(run, config, learnable, accelerator, stop_asked):
            pass
        return
    events = _train(run, config, learnable, accelerator, stop_asked)
    yield from _written(run, _told(events))


def _written(run: RunFolder, events: Iterator[Event]) -> Iterator[Event]:
    """Make this process the run's worker and its events the run's story."""
    run.claim({})
    log = EventLog(run)
    try:
        for event in events:
            log.write(event)
            yield event
    finally:
        log.close()


def _train(
    run: RunFolder,
    config: RunConfig,
    learnable: Learnable,
    accelerator: Accelerator,
    stop_asked: Callable[[], bool],
) -> Iterator[Event]:
    if accelerator.is_main_process:
        facts = _facts(config, accelerator)
        run.claim(facts)
        for path in config.cohorts:
            check_sample(Cohort(path), seed=config.engine.seed)
    seed_everything(config.engine.seed, "initial weights")
    recipe = learnable.learn(config, run)

    def should_stop() -> bool:
        return stop_asked() or run.stop_file.exists() or not run.exists()

    if isinstance(recipe, Fit):
        yield from fit_at_once(recipe, run.checkpoints, should_stop=should_stop)
        return
    for event in train(
        recipe,
        config.engine,
        run.checkpoints,
        accelerator=accelerator,
        should_stop=should_stop,
    ):
        if isinstance(event, Saved) and accelerator.is_main_process:
            # Whoever plans the next training wants to know what this one needed.
            run.claim(facts | {"memory_bytes": memory_in_use(accelerator.device)})
        yield event


def _told(events: Iterator[Event]) -> Iterator[Event]:
    """Pass events on; an exception becomes the last of them."""
    try:
        yield from events
    except ScanlearnError as error:
        yield _crashed(error)
    except Exception as error:  # noqa: BLE001 - the last door: it must be told
        mendable = of_the_world(error)
        if mendable is not None:
            yield _crashed(mendable)
            return
        yield Crashed(
            error=f"{type(error).__name__}: {error}", details=traceback.format_exc()
        )


def _crashed(error: ScanlearnError) -> Crashed:
    """Tell, inside its ``except``, of an error that the user can mend."""
    return Crashed(
        error=str(error),
        mendable=True,
        diverged=isinstance(error, Diverged),
        details=traceback.format_exc(),
    )


def _facts(config: RunConfig, accelerator: Accelerator) -> dict[str, Any]:
    packages = ("napari-scanlearn", "torch", "accelerate", "numpy")
    return {
        "device": str(accelerator.device),
        "hardware": device_name(accelerator.device),
        "processes": accelerator.num_processes,
        "precision": accelerator.mixed_precision,
        "seed": config.engine.seed,
        "start_from": config.start_from.name if config.start_from else None,
        "cohorts": {
            Path(path).name: Cohort(path).fingerprint() for path in config.cohorts
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
    }
