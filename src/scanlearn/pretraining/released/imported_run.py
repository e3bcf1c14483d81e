"""A checkpoint of somebody else's code becomes a run."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from scanlearn.config.run import RunConfig
from scanlearn.errors import BadRun
from scanlearn.runs.events import Finished, Message
from scanlearn.runs.folder import EventLog, RunFolder


@dataclass(frozen=True)
class Imported:
    """What a checkpoint holds, checked.

    Parameters
    ----------
    config
        The configuration of the run it becomes.
    write
        Writes the encoder into a run's ``checkpoints/``.
    report
        What matched and what was left out, sentence by sentence.
    """

    config: RunConfig
    write: Callable[[Path], None]
    report: tuple[str, ...] = ()


def import_run(imported: Imported, out: Path) -> RunFolder:
    """Write a finished run with imported weights.

    Raises
    ------
    BadRun
        If the folder exists already.
    """
    run = RunFolder.create(out, imported.config)
    imported.write(run.checkpoints)
    log = EventLog(run)
    for text in imported.report:
        log.write(Message(text=text))
    log.write(Finished(step=0))
    log.close()
    return run


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a pickled checkpoint of torch; no code in it can run."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise BadRun(f"The checkpoint {path} cannot be read: {error}") from None
    except (pickle.UnpicklingError, EOFError, RuntimeError, KeyError, ValueError):
        # torch's own words advise to load it without any check.
        raise BadRun(
            f"{path} is no checkpoint that can be read safely",
            expected="a file of torch.save with tensors and plain values only",
        ) from None
    if not isinstance(content, dict):
        raise BadRun(f"{path} holds no weights", expected="a dictionary of tensors")
    return content
