"""A cohort's folder while scans are prepared into it."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from scanlearn import processes
from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.layout import Layout, Settings, read_settings, write_settings
from scanlearn.cohort.preparation.spacing import (
    Spacing,
    median_spacing,
    modalities_known,
    spacings_differ,
)
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadCohort, ScanlearnError
from scanlearn.files import sweep
from scanlearn.scans.scan import ScanEntry


def check_folder(layout: Layout) -> bool:
    """Return whether the cohort is new; refuse folders that hold something else."""
    if layout.settings.exists():
        return False
    if layout.root.exists() and (
        not layout.root.is_dir() or any(layout.root.iterdir())
    ):
        raise BadCohort(
            f"{layout.root} is there already and is no cohort",
            expected="a cohort to extend, or a new or empty folder",
            next_step="Choose another folder for the cohort.",
        )
    return True


def settings_for(
    layout: Layout, config: PrepareConfig, entries: list[ScanEntry], *, is_new: bool
) -> Settings:
    """Return the settings of a cohort; those not given are an existing one's own.

    Raises
    ------
    BadCohort
        If the ones given would make other voxels than the cohort has.
    """
    if is_new:
        return Settings(config, _mr_spacing(config, entries))
    settings = read_settings(layout)
    given = config.model_dump(exclude_defaults=True)
    merged = PrepareConfig.model_validate(settings.config.model_dump() | given)
    if merged.patient_from != settings.config.patient_from:
        had = settings.config.patient_from or "as the files state them"
        raise BadCohort(
            f"{layout.root} has its patients told otherwise: {had}",
            expected="one way for all its scans, or a patient could be two",
            next_step="Leave --patient-from out, or prepare into a new folder.",
        )
    if not merged.same_voxels(settings.config) and not _same_spacing(
        layout, merged, settings.config
    ):
        before = settings.config.model_dump()
        differ = [f"{k} {before[k]}" for k, v in given.items() if before[k] != v]
        raise BadCohort(
            f"{layout.root} was prepared with other settings: {', '.join(differ)}",
            expected="the settings of the cohort, for all its scans to be alike",
            next_step="Leave them out to extend it, or prepare into a new folder.",
        )
    spacing = settings.mr_spacing_mm or _mr_spacing(merged, entries)
    return Settings(merged, spacing)


def _mr_spacing(config: PrepareConfig, entries: list[ScanEntry]) -> Spacing | None:
    """Return the spacing that scans which are not CT get, where none is given."""
    if config.spacing_mm is not None:
        return None
    return median_spacing(
        modalities_known(entries, workers=config.workers)
        if spacings_differ(entries)
        else entries
    )


def _same_spacing(layout: Layout, wanted: PrepareConfig, had: PrepareConfig) -> bool:
    """Whether a preset made the very voxels that the given spacing would make."""
    if had.spacing_mm is not None or not wanted.model_copy(
        update={"spacing_mm": None}
    ).same_voxels(had):
        return False
    volumes = [r for r in Cohort(layout.root).records(excluded=True) if r.shape[0] > 1]
    given = np.broadcast_to(np.asarray(wanted.spacing_mm, dtype=float), (3,))
    return all(np.allclose(record.spacing_mm, given) for record in volumes)


@contextmanager
def held_folder(layout: Layout, settings: Settings, *, is_new: bool) -> Iterator[None]:
    """Hold a cohort's folder; a new one goes again when nothing came into it."""
    try:
        for folder in (layout.scans, layout.private):
            folder.mkdir(parents=True, exist_ok=True)
        layout.private.chmod(0o700)
        with _lock(layout):
            # Left by a preparation that was killed.
            sweep(layout.root, deep=True)
            write_settings(layout, settings)
            yield
    except (ScanlearnError, OSError):
        if is_new and not any(layout.scans.glob("*.json")):
            shutil.rmtree(layout.root, ignore_errors=True)
        raise


@contextmanager
def _lock(layout: Layout) -> Iterator[None]:
    """Keep a second preparation out of the cohort while one is at work."""
    lock = layout.private / "preparing"
    try:
        holder = lock.read_text(encoding="utf-8")
    except OSError:
        holder = ""
    if holder and _is_alive(holder):
        raise BadCohort(
            f"another preparation is at work in {layout.root} ({holder})",
            next_step=f"Wait for it or stop it. If it is long gone, delete {lock}.",
        )
    lock.write_text(_identity(os.getpid()), encoding="utf-8")
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)


def _identity(pid: int) -> str:
    """Return a text that no other process ever has: numbers alone are used again."""
    return f"{socket.gethostname()} {pid} {processes.birth_mark(pid)}"


def _is_alive(holder: str) -> bool:
    host, pid, mark = (*holder.split(maxsplit=2), "", "", "")[:3]
    if host != socket.gethostname() or not pid.isdigit():
        # On another machine of a shared disk: nobody here can tell.
        return True
    return processes.is_alive(int(pid), mark)
