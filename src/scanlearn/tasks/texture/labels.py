"""Labelled places of a cohort's scans: points, regions made points, whole patches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.segmentation import ClassConfig
from scanlearn.config.texture import TextureConfig
from scanlearn.errors import BadLabels
from scanlearn.scans.formats import is_table
from scanlearn.scans.geometry import Grid
from scanlearn.scans.tables.label_tables import read_table
from scanlearn.tasks.shared.class_names import check_visible
from scanlearn.tasks.shared.label_maps import collect_labels
from scanlearn.tasks.shared.saved_labels import save_labels, saved_labels
from scanlearn.tasks.shared.table_rows import row_source, scan_keys

PLACES_FILE = "places.json"


@dataclass(frozen=True)
class Place:
    """A labelled place.

    Parameters
    ----------
    scan, patient
        Keys.
    label
        Value of its class.
    point
        LPS millimetres; None for all of a patch.
    split
        ``train``, ``val``, ``test``, or empty where the table says nothing.
    """

    scan: str
    patient: str
    label: int
    point: tuple[float, float, float] | None = None
    split: str = ""


@dataclass(frozen=True)
class PlaceSet:
    """Labelled places with the classes' names and what the user should know."""

    places: tuple[Place, ...]
    names: Mapping[int, str]
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_visible(self.names.values())

    @property
    def patient_keys(self) -> tuple[str, ...]:
        """Keys of the labelled patients, each once, in order."""
        return tuple(sorted({place.patient for place in self.places}))

    @property
    def teaching_keys(self) -> tuple[str, ...]:
        """Keys of those that can be learned from alone: of all."""
        return self.patient_keys

    def of(self, patients: Collection[str]) -> PlaceSet:
        """Return the places of some patients."""
        places = tuple(place for place in self.places if place.patient in patients)
        return replace(self, places=places)

    def save(self, folder: Path) -> None:
        """Write ``places.json``: keys and coordinates, no names of files."""
        content = {
            "classes": [{"value": v, "name": n} for v, n in sorted(self.names.items())],
            "places": [asdict(place) for place in self.places],
        }
        save_labels(folder / PLACES_FILE, content)

    @classmethod
    def load(cls, folder: Path) -> PlaceSet:
        """Read places that were saved.

        Raises
        ------
        BadLabels
            If the folder holds none.
        """
        path = folder / PLACES_FILE
        with saved_labels(path, source="table or regions") as content:
            names = {int(c["value"]): str(c["name"]) for c in content["classes"]}
            places = tuple(_loaded(one) for one in content["places"])
        return cls(places, names)

    @property
    def classes(self) -> tuple[ClassConfig, ...]:
        """The classes in order of value."""
        found = sorted(self.names.items())
        return tuple(ClassConfig(value=v, name=n) for v, n in found)


def collect_places(
    source: Path, cohort: Cohort, config: TextureConfig, *, fewest: int = 2
) -> PlaceSet:
    """Find labelled places of a cohort's scans.

    Parameters
    ----------
    source
        A table with ``path``, ``label`` and ``x,y,z`` (LPS millimetres; none for
        patches), a folder of masks whose painted regions become points, or the inputs
        of a texture run.
    cohort
        The cohort.
    config
        Its ``points_mm`` is the distance of the points of a region.
    fewest
        How many classes there must be.

    Raises
    ------
    BadLabels
        If no row fits a scan, a point lies outside its scan, or there is one class
        only.
    """
    for folder in (source, source / "inputs"):
        if (folder / PLACES_FILE).is_file():
            found = _of_cohort(PlaceSet.load(folder), cohort)
            break
    else:
        if is_table(source):
            found = _of_table(source, cohort, config)
        else:
            found = _of_regions(source, cohort, config)
    if len({place.label for place in found.places}) < fewest:
        raise BadLabels(
            f"{source} has places of one class only",
            expected="at least two classes, such as normal and emphysema",
            next_step="Mark places of another class, too",
        )
    return found


def _of_cohort(saved: PlaceSet, cohort: Cohort) -> PlaceSet:
    known = set(cohort.keys())
    places = tuple(place for place in saved.places if place.scan in known)
    if not places:
        raise BadLabels(
            f"None of the {len(saved.places)} labelled places is in {cohort.path.name}",
            expected="labels of this cohort's scans",
            next_step="Choose the cohort that the labels were made for",
        )
    return PlaceSet(places, saved.names)


def _of_table(source: Path, cohort: Cohort, config: TextureConfig) -> PlaceSet:
    table = read_table(source, needed=(("x", "y", "z", "label"), ("label",)))
    keys = scan_keys(cohort)
    rows: list[dict[Any, Any]] = table.to_dict("records")
    named = [row for row in rows if row["label"]]
    values = _values(config.classes, sorted({row["label"] for row in named}))
    records = {record.key: record for record in cohort.records()}
    places, strangers = [], 0
    for number, row in enumerate(rows, start=2):
        key = keys.get(row_source(row))
        if not row["label"]:
            continue
        if key is None or key not in records:
            strangers += 1
            continue
        record = records[key]
        point = _point(row, record.grid, source, number, flat=record.is_radiograph)
        split = str(row.get("split", ""))
        label = values[row["label"]]
        places.append(Place(key, record.patient, label, point, split))
    if not places:
        raise BadLabels(
            f"No row of {source.name} names a scan of {cohort.path.name}",
            expected="the paths that the cohort was prepared from",
            next_step="Choose the cohort that these scans were prepared into",
        )
    names = {value: name for name, value in values.items()}
    return PlaceSet(tuple(places), names, _remarks(places, names, strangers))


def _values(classes: Sequence[ClassConfig], labels: Sequence[str]) -> dict[str, int]:
    """Return the value of each class: as configured, else in order, normal first."""
    if classes:
        stated = {one.name: one.value for one in classes}
        missing = [label for label in labels if label not in stated]
        if missing:
            raise BadLabels(
                f"The table has the label '{missing[0]}'",
                expected=f"one of {', '.join(stated)}",
                next_step="Correct the table, or the classes",
            )
        return stated
    ordered = sorted(labels, key=lambda name: (name.lower() != "normal", name))
    return {name: value for value, name in enumerate(ordered, start=1)}


def _point(
    row: Mapping[str, Any], grid: Grid, source: Path, number: int, *, flat: bool
) -> tuple[float, float, float] | None:
    point = [row.get(axis, np.nan) for axis in "xyz"]
    if np.isnan(point).any():
        if flat:
            return None
        raise BadLabels(
            f"{source.name}, row {number}: a volume needs a place",
            expected="x, y and z in LPS millimetres",
            next_step="Add them, or name a 2D patch",
        )
    index = grid.to_index(np.array([point]))[0]
    if (index < -0.5).any() or (index > np.array(grid.shape) - 0.5).any():
        raise BadLabels(
            f"{source.name}, row {number}: the place {point} is outside its scan",
            expected="LPS millimetres inside the scan",
            next_step="NIfTI tools often give RAS: then x and y have the other sign",
        )
    return float(point[0]), float(point[1]), float(point[2])


def _of_regions(source: Path, cohort: Cohort, config: TextureConfig) -> PlaceSet:
    stated = {one.value: one.name for one in config.classes}
    labels = collect_labels(
        source,
        cohort,
        labelling="scribbles",
        known=stated,
        ignore_reference=config.ignore_reference,
    )
    places = [
        Place(item.scan, item.patient, value, (x, y, z))
        for item in labels.items
        for value in sorted(item.voxels)
        for x, y, z in region_points(item.read() == value, item.grid, config.points_mm)
    ]
    names = {value: stated.get(value, name) for value, name in labels.names.items()}
    remarks = (*_remarks(places, names, 0), *labels.remarks)
    return PlaceSet(tuple(places), names, remarks)


def region_points(
    region: NDArray[np.bool_], grid: Grid, distance_mm: float
) -> list[list[float]]:
    """Return points inside a painted region, so far apart: (n, 3) LPS millimetres.

    One voxel of each occupied cube of that side, the one nearest to the cube's centre:
    a region painted on one slice has points on that slice.
    """
    index = np.argwhere(region)
    if not len(index):
        return []
    scaled = index * np.array(grid.spacing_mm) / distance_mm
    cube = np.floor(scaled).astype(int)
    off = np.abs(scaled - cube - 0.5).sum(axis=1)
    order = np.lexsort((off, *cube.T))
    _, first = np.unique(cube[order], axis=0, return_index=True)
    points: list[list[float]] = grid.to_patient(index[order][first]).tolist()
    return points


def _remarks(
    places: Sequence[Place], names: Mapping[int, str], strangers: int
) -> tuple[str, ...]:
    counts = Counter(place.label for place in places)
    each = ", ".join(f"{names[v]} {n}" for v, n in sorted(counts.items()))
    patients = len({place.patient for place in places})
    remarks = [f"{len(places)} places of {patients} patients: {each}"]
    if strangers:
        remarks.append(f"{strangers} rows name no scan of the cohort: passed over")
    return tuple(remarks)


def _loaded(one: dict[str, Any]) -> Place:
    point = one["point"]
    return Place(
        str(one["scan"]),
        str(one["patient"]),
        int(one["label"]),
        None if point is None else (point[0], point[1], point[2]),
        str(one["split"]),
    )
