"""A cohort on disk: its records, voxels, lung masks and exclusions."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import ValidationError

from scanlearn.cohort.layout import (
    Layout,
    Settings,
    Source,
    read_settings,
    read_sources,
    write_rows,
)
from scanlearn.cohort.record import ScanRecord
from scanlearn.cohort.remote import is_url, mirror, remote_of
from scanlearn.cohort.store import STORES, filled_box
from scanlearn.errors import BadCohort
from scanlearn.files import write_text
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Acquisition, Scan, Units
from scanlearn.scans.tables.cells import harmless

__all__ = ["Cohort", "ScanRecord"]

#: Arrays kept open; every one holds a file descriptor, of which systems allow ~1000.
_MOST_OPEN = 200


class Cohort:
    """A folder of prepared scans.

    Parameters
    ----------
    path
        The folder, or the URL of one: its files come into a cache as they are needed.

    Raises
    ------
    BadCohort
        If the folder is no cohort, one of its sidecars cannot be understood, or the URL
        cannot be reached.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = mirror(str(path)) if is_url(path) else Path(path)
        self.layout = Layout(self.path)
        self._remote = remote_of(self.layout)
        self.settings: Settings = read_settings(self.layout)
        self._records = {
            record.key: record for record in map(read_record, self._sidecars())
        }
        self._opened: OrderedDict[str, NDArray[np.generic]] = OrderedDict()

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open a cohort; the same as ``Cohort(path)``."""
        return cls(path)

    def __getstate__(self) -> dict[str, Any]:
        # Loader processes open their own memory maps.
        return self.__dict__ | {"_opened": OrderedDict()}

    def __len__(self) -> int:
        return len(self.keys())

    def keys(self, *, excluded: bool = False) -> list[str]:
        """Return the scan keys in order; those left out only when asked."""
        return [record.key for record in self.records(excluded=excluded)]

    def records(self, *, excluded: bool = False) -> list[ScanRecord]:
        """Return the records by key; those left out only when asked."""
        records = (self._records[key] for key in sorted(self._records))
        return [record for record in records if excluded or not record.excluded]

    def record(self, key: str) -> ScanRecord:
        """Return the record of a scan, also of one left out.

        Raises
        ------
        BadCohort
            If the cohort has no such scan.
        """
        try:
            return self._records[key]
        except KeyError:
            raise BadCohort(
                f"{self.path} has no scan {key}",
                expected="one of the scans in its catalogue.csv",
            ) from None

    def patients(self) -> list[str]:
        """Return the keys of the patients with a usable scan."""
        return sorted({record.patient for record in self.records()})

    def voxels(self, key: str) -> NDArray[np.generic]:
        """Return a scan's voxels without reading them: a memory map by default."""
        if key in self._opened:
            self._opened.move_to_end(key)
            return self._opened[key]
        record = self.record(key)
        store = STORES[record.store]
        path = self._here(self.layout.voxels(key, store.suffix))
        try:
            array = store.open(path)
        except (OSError, EOFError, ValueError, RuntimeError) as problem:
            raise self._damaged(path, str(problem)) from None
        if tuple(array.shape) != record.shape:
            raise self._damaged(path, f"shape {array.shape}, not {record.shape}")
        self._opened[key] = array
        if len(self._opened) > _MOST_OPEN:
            self._opened.popitem(last=False)
        return array

    def scan(self, key: str) -> Scan:
        """Return a scan as it is stored; its voxels are read when they are used."""
        record = self.record(key)
        units: Units = "HU" if record.intensity.units == "HU" else "arbitrary"
        acquisition = Acquisition(
            modality=record.modality, units=units, body_part=record.body_part
        )
        return Scan(np.asarray(self.voxels(key)), record.grid, acquisition)

    def grid(self, key: str) -> Grid:
        """Return where a scan's stored voxels are."""
        return self.record(key).grid

    def source_grid(self, key: str) -> Grid:
        """Return where the voxels of a scan's source were."""
        return self.record(key).source_grid

    def lungs(self, key: str) -> tuple[NDArray[np.uint8], Grid] | None:
        """Return the 2 mm mask (1 right, 2 left) and its grid; None where none is."""
        if self.record(key).lung_volume_ml is None:
            return None
        path = self._here(self.layout.lungs(key))
        try:
            with np.load(path, allow_pickle=False) as content:
                mask: NDArray[np.uint8] = content["mask"]
                return mask, Grid(mask.shape, content["affine"])
        except (OSError, EOFError, ValueError, KeyError, BadZipFile) as problem:
            raise self._damaged(path, str(problem)) from None

    def read_box(
        self,
        key: str,
        start: ArrayLike,
        shape: ArrayLike,
        outside: float | None = None,
    ) -> NDArray[np.generic]:
        """Read a box of voxels; what lies beyond the scan is filled.

        Parameters
        ----------
        key
            The scan.
        start, shape
            First index (may be negative) and size of the box, in array order.
        outside
            Fill; by default air (CT) or the darkest value.
        """
        voxels = self.voxels(key)
        fill = self.record(key).intensity.outside if outside is None else outside
        return filled_box(voxels, start, shape, fill)

    def exclude(self, key: str, reason: str) -> None:
        """Leave a scan out, with the reason written into the catalogue."""
        if not reason.strip():
            raise BadCohort(f"no reason was given to leave out {key}")
        self.amend({key: {"excluded": reason.strip()}})

    def include(self, key: str) -> None:
        """Use a scan again."""
        self.amend({key: {"excluded": ""}})

    def amend(self, changes: Mapping[str, Mapping[str, str]]) -> None:
        """Change what is said of scans, by key and field; the table is written once.

        Raises
        ------
        BadCohort
            If the cohort has no such scan, or lies at a URL; nothing is changed then.
        """
        if self._remote is not None:
            raise BadCohort(
                f"{self._remote.url} can only be read",
                next_step="Exclude the scan where the cohort was made.",
            )
        amended = [
            self.record(key).model_copy(update=dict(fields))
            for key, fields in changes.items()
        ]
        for record in amended:
            write_record(self.layout, record)
            self._records[record.key] = record
        if amended:
            self.write_table()

    def sources(self) -> dict[str, Source]:
        """Return the private map from scan keys to source files."""
        return read_sources(self.layout)

    def fingerprint(self) -> str:
        """Return a hash of what trainings see: the usable scans and their settings."""
        settings = self.settings.config.model_dump_json(
            # A voxel size is in every grid, however it was asked for.
            exclude={"workers", "on_uneven", "spacing_mm"}
        )
        digest = hashlib.sha256(settings.encode())
        for record in self.records():
            seen = (record.key, record.source_hash, record.shape, record.affine)
            digest.update(repr(seen).encode())
        return digest.hexdigest()[:16]

    def write_table(self) -> None:
        """Write ``catalogue.csv``, the index for people, from the records."""
        header = (
            "scan",
            "patient",
            "modality",
            "shape",
            "spacing_mm",
            "lung_volume_ml",
            "checks",
            "excluded",
            "source_hash",
        )
        write_rows(self.layout.table, header, map(_row, self.records(excluded=True)))

    def _here(self, path: Path) -> Path:
        """Return a file's path, once it is there."""
        if self._remote is not None and not path.exists():
            self._remote.fetch(path)
        return path

    def _sidecars(self) -> list[Path]:
        return sorted(self.layout.scans.glob("P-*.json"))

    def _damaged(self, path: Path, problem: str) -> BadCohort:
        return BadCohort(
            f"{path} is missing or damaged ({problem})",
            expected="the file as 'scanlearn prepare' wrote it",
            next_step="Delete the scan's .json beside it and prepare the cohort again.",
        )


def read_record(path: Path) -> ScanRecord:
    """Read a sidecar.

    Raises
    ------
    BadCohort
        If it cannot be understood.
    """
    try:
        return ScanRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as problem:
        raise BadCohort(
            f"{path} cannot be understood ({problem})",
            expected="the sidecar of a scan as 'scanlearn prepare' wrote it",
            next_step="Delete it and prepare the cohort again.",
        ) from None


def write_record(layout: Layout, record: ScanRecord) -> None:
    """Write a sidecar: from then on the scan counts as complete."""
    write_text(layout.record(record.key), record.model_dump_json(indent=1))


def _row(record: ScanRecord) -> tuple[object, ...]:
    volume = record.lung_volume_ml
    checks = "; ".join(f"{one.severity}: {one.text}" for one in record.checks)
    return (
        record.key,
        record.patient,
        harmless(record.modality),
        "x".join(map(str, record.shape)),
        "x".join(f"{mm:g}" for mm in record.spacing_mm),
        "" if volume is None else round(volume),
        harmless(checks),
        harmless(record.excluded),
        record.source_hash,
    )
