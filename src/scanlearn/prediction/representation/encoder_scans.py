"""Scans as an encoder sees them, whether they lie in a cohort or in files."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlearn.anatomy.frames import Locator
from scanlearn.cohort.atlas.atlas_on_scans import place_scan
from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.store import filled_box
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.encoders.encoder_file import EncoderCard
from scanlearn.errors import BadCohort
from scanlearn.prediction.each_scan import Tell, each_entry, tell_problems
from scanlearn.prediction.ready_volume import ready_volume
from scanlearn.runs.events import Message
from scanlearn.scans.geometry import Grid
from scanlearn.scans.read import OnUneven, read_scan
from scanlearn.scans.scan import Scan, ScanEntry


@dataclass(frozen=True, eq=False)
class EncoderScan:
    """One scan at the resolution of an encoder.

    Parameters
    ----------
    key, patient
        A cohort's keys; of a file its name, and no patient.
    grid, frame
        Working grid, and what locations refer to.
    lungs
        Mask and its grid, where there is one.
    read
        ``read(start, shape)`` gives a box of stored intensities in working voxels,
        float32, filled beyond the field of view.
    """

    key: str
    patient: str
    grid: Grid
    frame: Locator
    lungs: tuple[NDArray[np.bool_], Grid] | None
    read: Callable[[ArrayLike, ArrayLike], NDArray[np.float32]]

    def lung_share(
        self, points: NDArray[np.float64], side_mm: float
    ) -> NDArray[np.float64]:
        """Return the lung fraction (n,) of cubes around LPS points (n, 3).

        Without a mask every cube counts alike, as 1.
        """
        if self.lungs is None:
            return np.ones(len(points))
        mask, grid = self.lungs
        sides = np.maximum(1, np.rint(side_mm / np.array(grid.spacing_mm))).astype(int)
        starts = np.rint(grid.to_index(points) - (sides - 1) / 2).astype(int)
        boxes = (filled_box(mask, start, sides, 0) for start in starts)
        return np.array([box.mean() for box in boxes])


def is_cohort(path: Path) -> bool:
    """Whether a path is a prepared cohort."""
    return (path / "cohort.yaml").is_file()


def cohort_scans(
    path: Path,
    card: EncoderCard,
    tell: Tell,
    *,
    only: Collection[str] | None = None,
) -> list[EncoderScan]:
    """Return the usable scans of a cohort, or those named, in order of key.

    Scans of another kind than the encoder was trained on are told and left out.

    Raises
    ------
    BadCohort
        If none is left.
    """
    cohorts = WorkingCohorts([path], min(card.spacing_mm))
    atlas = card.located()
    fitting = []
    for number, scan in enumerate(cohorts.scans):
        if only is not None and scan.key not in only:
            continue
        if scan.units != card.units:
            problem = f"its intensities are {scan.units}, not {card.units}"
            tell(Message(text=f"{scan.key} is left out: {problem}", severity="warning"))
            continue
        found = place_scan(cohorts, scan, atlas)
        if found.problems:
            what = "may be misplaced" if found.is_usable else "is left out"
            text = f"{scan.key} {what}: {'; '.join(found.problems)}"
            tell(Message(text=text, severity="warning"))
        if found.is_usable:
            fitting.append(_from_cohort(cohorts, number, found))
    if not fitting:
        raise BadCohort(
            f"{path} holds no scan of the kind that the encoder was trained on",
            expected=f"{card.units} intensities and locations from the "
            f"{card.atlas['kind']}",
            next_step="Choose another cohort or another run",
        )
    return fitting


def file_scans(
    source: Path,
    card: EncoderCard,
    tell: Tell,
    *,
    series: str = "",
    on_uneven: OnUneven = "refuse",
) -> Iterator[EncoderScan]:
    """Read the scans of a file or folder one after another.

    A scan that cannot be used is told and passed over, unless it is the only one; what
    was odd about reading the others is told too.
    """

    def prepared(name: str, entry: ScanEntry) -> EncoderScan:
        scan = read_scan(entry, on_uneven=on_uneven)
        tell_problems(scan, tell)
        return scan_in_memory(scan, card, key=name)

    return each_entry(source, series, prepared, tell)


def scan_in_memory(scan: Scan, card: EncoderCard, *, key: str) -> EncoderScan:
    """Prepare a scan that was read as the encoder's cohort was prepared."""
    ready = ready_volume(
        scan,
        units=card.units,
        kind=card.atlas["kind"],
        stored_spacing_mm=card.stored_spacing_mm,
        factor=card.pooling,
        atlas=card.located(),
    )
    lungs = ready.lungs
    mask = None if lungs is None else (lungs.mask > 0, lungs.grid)
    read = partial(_box, ready.voxels, ready.outside)
    return EncoderScan(key, "", ready.grid, ready.frame, mask, read)


def _from_cohort(cohorts: WorkingCohorts, number: int, frame: Locator) -> EncoderScan:
    scan = cohorts.scans[number]
    cohort: Cohort = cohorts.cohorts[scan.cohort]
    found = cohort.lungs(scan.key) if frame.kind == "lungs" else None
    mask = found and (found[0] > 0, found[1])
    read = partial(cohorts.read, number)
    return EncoderScan(scan.key, scan.record.patient, scan.grid, frame, mask, read)


def _box(
    voxels: NDArray[np.float32], outside: float, start: ArrayLike, shape: ArrayLike
) -> NDArray[np.float32]:
    return filled_box(voxels, start, shape, outside).astype(np.float32, copy=False)
