"""Whether a task can start from a pre-training, and why not where it cannot."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scanlearn.encoders.encoder_kind import EncoderKind, encoder_kind
from scanlearn.errors import BadRun
from scanlearn.tasks.shared.earlier_model import learned_task, model_kind

if TYPE_CHECKING:
    from scanlearn.tasks.task import Task


def misfit(task: Task, start: Path, *, radiographs: bool) -> str:
    """Return why a task cannot start from a run; nothing where it can, or none knows.

    Parameters
    ----------
    task
        What is to be learned.
    start
        A pre-training run, or one that learned a task.
    radiographs
        Whether the cohort's scans are single images.
    """
    learned = learned_task(start)
    if learned and (learned != task.offer.name or not task.goes_on):
        return f"it learned {learned}, from which this task cannot go on"
    kind = model_kind(start) if learned else encoder_kind(start)
    return "" if kind is None else task.misfit(kind, radiographs=radiographs)


def check_start_fits(task: Task, start: Path | None, *, radiographs: bool) -> None:
    """See that a task can start from a run, before a new one is written.

    Raises
    ------
    BadRun
        If it cannot.
    """
    why = "" if start is None else misfit(task, start, radiographs=radiographs)
    if why:
        raise BadRun(
            f"{task.offer.title} cannot start from {start}: {why}",
            next_step="Choose another run, or start from scratch",
        )


def needs_slices(kind: EncoderKind) -> str:
    """Say what is wrong with an encoder for single images."""
    if kind == "slices":
        return ""
    return "single images need an encoder of slices, as the joint method trains"


def needs_patches(kind: EncoderKind) -> str:
    """Say what is wrong with an encoder for a decoder in three dimensions."""
    if kind == "slices":
        return "volumes need an encoder of patches, as DrasCLR trains"
    return needs_full_maps(kind)


def needs_full_maps(kind: EncoderKind) -> str:
    """Say what is wrong with an encoder for a decoder at full resolution."""
    if kind == "dense":
        return "a dense encoder keeps no maps at full resolution"
    return ""
