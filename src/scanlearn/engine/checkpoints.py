"""Training states on disk: complete under their name, or not there at all."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from scanlearn.errors import BadRun

_STATE = "state.pt"


class Checkpoints:
    """The states ``last`` and ``best`` of one run.

    A state is a folder. It is written as ``.NAME.part``, renamed to ``.NAME.new`` when
    complete, and takes the place of the old one in two renames; whoever is killed in
    between leaves a complete ``.NAME.new`` that the next reader moves into place.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def save(self, name: str, state: dict[str, Any]) -> None:
        """Write a state of tensors, numbers, strings, lists and dicts."""
        part, new = self.folder / f".{name}.part", self.folder / f".{name}.new"
        shutil.rmtree(part, ignore_errors=True)
        if new.exists():
            # Left by someone killed in between: it may be the only complete one.
            self._settle(name)
        part.mkdir()
        try:
            _write(part / _STATE, state)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        os.rename(part, new)
        self._settle(name)

    def load(self, name: str) -> dict[str, Any] | None:
        """Read a state onto the CPU; None when there is none yet.

        Only tensors and plain values are accepted: a checkpoint from elsewhere runs no
        code here.
        """
        if (self.folder / f".{name}.new").exists():
            self._settle(name)
        path = self.folder / name / _STATE
        if not path.exists():
            return None
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except RuntimeError as error:
            raise _unreadable(path, str(error).partition("\n")[0]) from None
        except (pickle.UnpicklingError, EOFError):
            # torch's own words advise to load it without any check.
            reason = "it is damaged, or holds more than tensors and plain values"
            raise _unreadable(path, reason) from None
        if not isinstance(state, dict):
            raise _unreadable(path, "it holds no state of a training")
        return dict(state)

    def sweep(self) -> None:
        """Remove what a worker that was killed had only half written."""
        for part in self.folder.glob(".*.part"):
            shutil.rmtree(part, ignore_errors=True)

    @contextmanager
    def understood(self, name: str) -> Iterator[None]:
        """Take a state up in this block: what does not fit is told in one line.

        Raises
        ------
        BadRun
            If keys are missing, or shapes are those of another network.
        """
        try:
            yield
        except torch.OutOfMemoryError:
            raise
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as no:
            reason = f"it is not a state of this training ({_first_words(no)})"
            raise _unreadable(self.folder / name / _STATE, reason) from None

    def _settle(self, name: str) -> None:
        """Move a complete new state into the place of the old one."""
        old = self.folder / f".{name}.old"
        shutil.rmtree(old, ignore_errors=True)
        if (self.folder / name).exists():
            os.rename(self.folder / name, old)
        os.rename(self.folder / f".{name}.new", self.folder / name)
        shutil.rmtree(old, ignore_errors=True)


def _write(path: Path, state: dict[str, Any]) -> None:
    try:
        with path.open("wb") as file:
            torch.save(state, file)
    except RuntimeError as error:
        # torch hides why a file could not be written: a full disk, most likely.
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def _first_words(error: Exception) -> str:
    """Return what is missing or of another shape first, without torch's whole list."""
    lines = [line.strip(" \t.") for line in str(error).splitlines() if line.strip()]
    # The first line of several only names the class of the network.
    text = lines[1] if len(lines) > 1 else "".join(lines)
    return f"{type(error).__name__}: {text[:200]}"


def _unreadable(path: Path, reason: str) -> BadRun:
    return BadRun(
        f"The checkpoint {path} cannot be read: {reason}",
        next_step="Delete its folder to go on without it",
    )
