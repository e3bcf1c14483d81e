"""The names of a cohort's files, and the two small ones at its top."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

from scanlearn.config.prepare import PrepareConfig
from scanlearn.documents import parse_yaml, read_text
from scanlearn.errors import BadCohort
from scanlearn.files import write_text, written_beside

FORMAT = 1

_SOURCE_COLUMNS = ("scan", "source", "series", "volume")


@dataclass(frozen=True)
class Layout:
    """Paths inside a cohort's folder."""

    root: Path

    @property
    def settings(self) -> Path:
        """The settings every scan was prepared with."""
        return self.root / "cohort.yaml"

    @property
    def scans(self) -> Path:
        """The folder of voxels and sidecars."""
        return self.root / "scans"

    @property
    def placements(self) -> Path:
        """The folder of registrations, which can be made again."""
        return self.root / "placements"

    @property
    def private(self) -> Path:
        """The folder that stays on the machine."""
        return self.root / "private"

    @property
    def sources(self) -> Path:
        """The map from keys to source files."""
        return self.private / "sources.csv"

    @property
    def table(self) -> Path:
        """The catalogue for people."""
        return self.root / "catalogue.csv"

    def record(self, key: str) -> Path:
        """Return the sidecar of a scan."""
        return self.scans / f"{key}.json"

    def voxels(self, key: str, suffix: str) -> Path:
        """Return the voxels of a scan."""
        return self.scans / f"{key}{suffix}"

    def preview(self, key: str) -> Path:
        """Return the picture of a scan and its lung mask."""
        return self.root / "previews" / f"{key}.png"

    def placement(self, key: str, atlas: str) -> Path:
        """Return where the atlas with this hash of its shape lies in a scan."""
        return self.placements / atlas / f"{key}.json"

    def lungs(self, key: str) -> Path:
        """Return the lung mask of a scan."""
        return self.scans / f"{key}_lungs.npz"


@dataclass(frozen=True)
class Settings:
    """What ``cohort.yaml`` holds: the configuration and what it was resolved to.

    ``mr_spacing_mm`` is the (S, P, L) spacing of the cohort's MR scans, once known.
    """

    config: PrepareConfig
    mr_spacing_mm: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Source:
    """Where a scan came from. Private."""

    path: str
    series: str = ""
    volume: str = ""


def read_settings(layout: Layout) -> Settings:
    """Read ``cohort.yaml``.

    Raises
    ------
    BadCohort
        If the folder is no cohort, or one this version cannot read.
    """
    try:
        text = read_text(layout.settings)
    except (OSError, ValueError):
        raise BadCohort(
            f"{layout.root} is no cohort: it has no readable cohort.yaml",
            expected="a folder made by 'scanlearn prepare'",
            next_step=f"Prepare one: scanlearn prepare FOLDER {layout.root}",
        ) from None
    try:
        content = parse_yaml(text)
        found = content["format"]
        if found != FORMAT:
            raise BadCohort(
                f"{layout.settings} has format {found}",
                expected=f"format {FORMAT}",
                next_step="Open it with the version of scanlearn that made it.",
            )
        spacing = content.get("mr_spacing_mm")
        return Settings(
            PrepareConfig.model_validate(content["prepare"]),
            None if spacing is None else (spacing[0], spacing[1], spacing[2]),
        )
    except (ValueError, TypeError, KeyError, IndexError) as problem:
        raise BadCohort(
            f"{layout.settings} cannot be understood ({problem})",
            expected="the file as 'scanlearn prepare' wrote it",
            next_step="Restore it, or prepare the cohort again in a new folder.",
        ) from None


def write_settings(layout: Layout, settings: Settings) -> None:
    """Write ``cohort.yaml``."""
    # How many processes there were says nothing about the cohort.
    config = settings.config.model_dump(mode="json", exclude={"workers"})
    if not settings.config.patient_from:
        del config["patient_from"]  # as cohorts made before have it
    content = {
        "format": FORMAT,
        "prepare": config,
        "mr_spacing_mm": settings.mr_spacing_mm and list(settings.mr_spacing_mm),
    }
    write_text(layout.settings, yaml.safe_dump(content, sort_keys=False))


def read_sources(layout: Layout) -> dict[str, Source]:
    """Read the private map from scan keys to sources; empty where it is absent."""
    if not layout.sources.exists():
        return {}
    with layout.sources.open(newline="", encoding="utf-8") as stream:
        return {
            row["scan"]: Source(
                row["source"], row.get("series") or "", row.get("volume") or ""
            )
            for row in csv.DictReader(stream)
        }


def write_sources(layout: Layout, sources: dict[str, Source]) -> None:
    """Write the private map from scan keys to sources."""
    rows = [
        (key, source.path, source.series, source.volume)
        for key, source in sorted(sources.items())
    ]
    write_rows(layout.sources, _SOURCE_COLUMNS, rows)


def write_rows(
    path: Path, header: Iterable[object], rows: Iterable[Iterable[object]]
) -> None:
    """Write a CSV, whole or not at all."""
    with (
        written_beside(path) as part,
        part.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
