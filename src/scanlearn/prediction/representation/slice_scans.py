"""Scans as an encoder of slices sees them, whether they lie in a cohort or in files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.intensity import normalised as as_stored
from scanlearn.cohort.preparation.prepare_one import stored_units
from scanlearn.cohort.record import Intensity
from scanlearn.cohort.slices import squared
from scanlearn.encoders.slice_encoder_card import SliceEncoderCard
from scanlearn.errors import BadCohort, BadScan
from scanlearn.prediction.each_scan import Tell, each_entry, tell_problems
from scanlearn.runs.events import Message
from scanlearn.scans.geometry import Grid
from scanlearn.scans.read import OnUneven, read_scan
from scanlearn.scans.scan import ScanEntry


@dataclass(frozen=True, eq=False)
class SliceScan:
    """The slices of a scan, or a radiograph, which is one slice.

    Parameters
    ----------
    key, patient
        A cohort's keys; of a file its name, and no patient.
    grid
        Of the stored voxels (S, P, L).
    is_radiograph
        Whether it is a projection image.
    intensity
        What the stored values mean.
    voxels
        Gives the voxels, without reading those of a cohort.
    """

    key: str
    patient: str
    grid: Grid
    is_radiograph: bool
    intensity: Intensity
    voxels: Callable[[], NDArray[np.generic]]

    def read(self, indices: Sequence[int]) -> NDArray[np.float32]:
        """Return slices (n, S, S) as stored, filled up to squares."""
        voxels = self.voxels()
        wanted = np.stack([np.asarray(voxels[n], dtype=np.float32) for n in indices])
        return squared(wanted, self.intensity.outside)

    def centres(self) -> NDArray[np.float64]:
        """Return the middles (n, 3) of the slices, LPS millimetres."""
        depth, height, width = self.grid.shape
        middle = np.full((depth, 3), ((height - 1) / 2, (width - 1) / 2, 0.0))
        index = np.column_stack([np.arange(depth), middle[:, :2]])
        return self.grid.to_patient(index)


def cohort_slice_scans(
    path: Path, card: SliceEncoderCard, tell: Tell
) -> list[SliceScan]:
    """Return the usable scans of a cohort, in order of key.

    Scans of a kind that the encoder was not trained on are told and left out.

    Raises
    ------
    BadCohort
        If none is left.
    """
    cohort = Cohort(path)
    found = []
    for record in cohort.records():
        problem = _misfit(record.intensity, card)
        if problem:
            tell(
                Message(text=f"{record.key} is left out: {problem}", severity="warning")
            )
            continue
        found.append(
            SliceScan(
                record.key,
                record.patient,
                record.grid,
                record.is_radiograph,
                record.intensity,
                lambda key=record.key: cohort.voxels(key),  # type: ignore[misc]
            )
        )
    if not found:
        raise BadCohort(
            f"{path} holds no scan of a kind that the encoder was trained on",
            expected=f"intensities in {_known(card)}",
            next_step="Choose another cohort or another run",
        )
    return found


def file_slice_scans(
    source: Path,
    card: SliceEncoderCard,
    tell: Tell,
    *,
    series: str = "",
    on_uneven: OnUneven = "refuse",
) -> Iterator[SliceScan]:
    """Read the scans of a file or folder one after another.

    Their slices are those of the file, turned but, unless oblique, not resampled. A
    scan that cannot be used is told and passed over, unless it is the only one.
    """

    def prepared(name: str, entry: ScanEntry) -> SliceScan:
        scan = read_scan(entry, on_uneven=on_uneven)
        tell_problems(scan, tell)
        straight = scan.canonical()
        stored, intensity = as_stored(straight.voxels, stored_units(scan))
        problem = _misfit(intensity, card)
        if problem:
            raise BadScan(
                f"The scan cannot be embedded: {problem}",
                expected=f"intensities in {_known(card)}",
                next_step="Choose another scan or another run",
            )
        flat = scan.is_radiograph
        return SliceScan(name, "", straight.grid, flat, intensity, lambda: stored)

    return each_entry(source, series, prepared, tell)


def _misfit(intensity: Intensity, card: SliceEncoderCard) -> str:
    if intensity.units in card.units:
        return ""
    return f"its intensities are {intensity.units}, not {_known(card)}"


def _known(card: SliceEncoderCard) -> str:
    return " or ".join(card.units)
