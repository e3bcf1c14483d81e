"""Labels that a cohort keeps, as lines of the list of labelled scans, and as layers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scanlearn.cohort.labels.kept_labels import (
    KeptFacts,
    KeptLabels,
    kept_facts,
    kept_keys,
    kept_path,
    read_kept,
)
from scanlearn.cohort.labels.known_slices import KnownSlices
from scanlearn.cohort.layout import Layout, Source, read_sources
from scanlearn.errors import ScanlearnError
from scanlearn.gui.viewer.labels_io import Amount, Painted, amount_known
from scanlearn.gui.viewer.layers import (
    KNOWN,
    LAYER,
    LayerData,
    Origin,
    labels_layer,
    short_key,
)


@dataclass(frozen=True, eq=False)
class KeptScan:
    """The labels of one scan in the cohort's folder; read when they are used."""

    name: str
    origin: Origin
    cohort: Path
    key: str

    def read(self) -> Painted:
        """Read the labels; slow."""
        return as_painted(read_kept(kept_path(self.cohort, self.key)), self.origin)


class CohortScans:
    """The scans of a cohort by where they came from; slow to make.

    Parameters
    ----------
    cohort
        Its folder.
    """

    def __init__(self, cohort: Path) -> None:
        self.cohort = cohort
        self._sources = read_sources(Layout(cohort))
        self._keys = {source: key for key, source in self._sources.items()}

    def key_of(self, origin: Origin) -> str:
        """Return the key of a layer's scan; empty where the cohort has it not."""
        volume = "" if origin.volume is None else str(origin.volume)
        return self._keys.get(Source(str(origin.source), origin.series, volume), "")

    def kept(self) -> list[tuple[KeptScan, Amount, KeptFacts]]:
        """Return the scans with labels, those that can be read; slow."""
        found = []
        for key in kept_keys(self.cohort):
            try:
                facts = kept_facts(kept_path(self.cohort, key))
                scan = KeptScan(facts.name, self.origin_of(key), self.cohort, key)
                found.append((scan, amount_of(facts), facts))
            except (ScanlearnError, OSError):
                continue  # a scan that left the cohort, or a damaged file
        return found

    def kept_of(self, origin: Origin) -> KeptLabels | None:
        """Return what is kept of a layer's scan; slow."""
        key = self.key_of(origin)
        path = kept_path(self.cohort, key)
        return read_kept(path) if key and path.is_file() else None

    def origin_of(self, key: str) -> Origin:
        """Return where a scan came from, as its layers have it."""
        from scanlearn.cohort.catalogue import read_record

        record = read_record(Layout(self.cohort).record(key))
        source = self._sources.get(key, Source(key))
        return Origin(
            source=Path(source.path),
            grid=record.source_grid,
            patient=short_key(record.patient),
            modality=record.modality,
            series=source.series,
            volume=int(source.volume) if source.volume else None,
        )


def as_kept(painted: Painted, layer: str, values: tuple[int, ...]) -> KeptLabels:
    """Return a snapshot of a layer as it is kept."""
    assert painted.known is not None
    facts = KeptFacts(
        painted.grid, painted.known, values, painted.classes, layer, painted.name
    )
    return KeptLabels(painted.labels, facts)


def as_painted(kept: KeptLabels, origin: Origin) -> Painted:
    """Return kept labels as if they had been taken from a layer."""
    facts = kept.facts
    return Painted(
        facts.name, kept.labels, facts.grid, origin, facts.classes, facts.known
    )


def amount_of(facts: KeptFacts) -> Amount:
    """Say how much of kept labels counts."""
    return amount_known(facts.name, facts.grid, facts.known, facts.values)


def editable(prediction: Painted, cohort: Path | None) -> LayerData:
    """Return a prediction as a layer to correct, with what was painted before; slow.

    Nothing of the prediction itself counts as truth.
    """
    made = prediction.with_known(KnownSlices.none(prediction.labels.shape))
    kept = None if cohort is None else CohortScans(cohort).kept_of(made.origin)
    if kept is not None:
        made = made.over(as_painted(kept, made.origin))
    data, settings, kind = labels_layer(
        made.labels, made.grid, made.origin, name="corrected", classes=made.classes
    )
    settings["metadata"][KNOWN] = made.known
    return data, settings, kind


def kept_layer(kept: KeptLabels, origin: Origin) -> LayerData:
    """Return kept labels as a layer that is kept on."""
    facts = kept.facts
    data, settings, kind = labels_layer(
        kept.labels, facts.grid, origin, name="mine", classes=facts.classes
    )
    more: dict[str, Any] = {KNOWN: facts.known, LAYER: facts.layer}
    settings["metadata"] |= more
    return data, settings | {"name": facts.name or settings["name"]}, kind
