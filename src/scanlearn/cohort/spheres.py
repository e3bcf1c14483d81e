"""Labelled findings of a cohort's scans: centre and diameter of each."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.label_files import keys_of_paths, match_labels
from scanlearn.config.detection import DetectionConfig
from scanlearn.errors import BadLabels
from scanlearn.files import write_text
from scanlearn.scans.geometry import Grid
from scanlearn.scans.spheres import Spheres, as_spheres
from scanlearn.scans.tables import read_table

SPHERES_FILE = "spheres.json"

#: A component of a mask with fewer voxels than this is a slip of the brush.
_LEAST_VOXELS = 4

_COLUMNS = ["x", "y", "z", "diameter"]


@dataclass(frozen=True, eq=False)
class LabelledSpheres:
    """The findings of one scan; none says that somebody looked and there is none.

    Parameters
    ----------
    scan, patient
        Keys.
    spheres
        (n, 4) centres and diameters in LPS millimetres.
    split
        As the table says; empty where it does not.
    """

    scan: str
    patient: str
    spheres: Spheres
    split: str = ""


@dataclass(frozen=True)
class SphereSet:
    """Labelled findings for some scans of a cohort.

    Parameters
    ----------
    items
        One a labelled scan, in order of keys.
    remarks
        What the user should know: what was passed over.
    """

    items: tuple[LabelledSpheres, ...]
    remarks: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of findings in all scans."""
        return sum(len(item.spheres) for item in self.items)

    @property
    def patient_keys(self) -> tuple[str, ...]:
        """Keys of the labelled patients, each once, in order."""
        return tuple(sorted({item.patient for item in self.items}))

    def of(self, patients: Collection[str]) -> SphereSet:
        """Return the findings of some patients."""
        items = tuple(item for item in self.items if item.patient in patients)
        return replace(self, items=items)

    def save(self, folder: Path) -> None:
        """Write ``spheres.json``: keys, never names."""
        folder.mkdir(parents=True, exist_ok=True)
        scans = {
            item.scan: {
                "patient": item.patient,
                "split": item.split,
                "spheres": item.spheres.tolist(),
            }
            for item in self.items
        }
        write_text(folder / SPHERES_FILE, json.dumps({"scans": scans}, indent=1))

    @classmethod
    def load(cls, folder: Path) -> SphereSet:
        """Read labels that were saved.

        Raises
        ------
        BadLabels
            If the folder holds none.
        """
        path = folder / SPHERES_FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            items = tuple(
                LabelledSpheres(
                    key,
                    str(facts["patient"]),
                    as_spheres(facts["spheres"]),
                    facts.get("split", ""),
                )
                for key, facts in sorted(content["scans"].items())
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
            raise BadLabels(
                f"{path} cannot be read ({problem})",
                expected="labels as a fine-tuning wrote them into its inputs",
                next_step="Launch the fine-tuning anew with its table.",
            ) from None
        return cls(items)


def collect_spheres(
    source: Path, cohort: Cohort, config: DetectionConfig | None = None
) -> SphereSet:
    """Find the labelled findings of a cohort's scans and check every one.

    Parameters
    ----------
    source
        A table with ``path,x,y,z,diameter``, one row a finding and an empty one for a
        scan without; a folder of masks (or one mask), of which every connected
        component becomes a finding of equal volume; or the ``inputs`` of a run.
    cohort
        The cohort.

    Raises
    ------
    BadLabels
        If no row fits a scan, a finding lies outside its scan, or there is none at all.
    """
    source = Path(source)
    if not source.exists():
        raise BadLabels(f"{source} does not exist", next_step="Check the path.")
    saved = [f for f in (source, source / "inputs") if (f / SPHERES_FILE).is_file()]
    if saved:
        found, remarks = _of_run(saved[0], cohort)
    elif source.suffix.lower() == ".csv":
        found, remarks = _of_table(source, cohort)
    else:
        found, remarks = _of_masks(source, cohort)
    for item in found:
        _check_inside(item, cohort.grid(item.scan))
    labels = SphereSet(tuple(sorted(found, key=lambda i: i.scan)), tuple(remarks))
    if not labels.count:
        raise BadLabels(
            f"{source} has no finding in any of its {len(found)} scans",
            expected="at least one; scans without are welcome beside it",
            next_step="Add rows with x, y, z and diameter.",
        )
    return labels


def components(labels: NDArray[np.generic], grid: Grid) -> Spheres:
    """Return a sphere for every connected component of a mask, of equal volume.

    Voxels that touch at a corner are connected.
    """
    from scipy import ndimage

    parts, _ = ndimage.label(labels != 0, structure=np.ones((3, 3, 3)))
    spheres = []
    for number, box in enumerate(ndimage.find_objects(parts), start=1):
        inside = np.argwhere(parts[box] == number) + [part.start for part in box]
        if len(inside) >= _LEAST_VOXELS:
            volume = len(inside) * grid.voxel_ml * 1000
            diameter = 2 * (3 * volume / (4 * math.pi)) ** (1 / 3)
            spheres.append([*grid.to_patient(inside.mean(axis=0)), diameter])
    return as_spheres(spheres)


def _of_run(folder: Path, cohort: Cohort) -> tuple[list[LabelledSpheres], list[str]]:
    known = set(cohort.keys())
    found = [item for item in SphereSet.load(folder).items if item.scan in known]
    if not found:
        raise BadLabels(
            f"none of the labelled scans in {folder} is in the cohort "
            f"{cohort.path.name}",
            expected="labels of this cohort's scans",
            next_step="Choose the cohort that the labels were made for.",
        )
    return found, []


def _of_table(source: Path, cohort: Cohort) -> tuple[list[LabelledSpheres], list[str]]:
    table = read_table(source, task="detection")
    if "diameter" not in table:
        raise BadLabels(
            f"{source.name} has boxes in pixels, which are of radiographs",
            expected="x, y, z and diameter for scans of a volume",
            next_step="Choose the table of the volumes.",
        )
    keys = keys_of_paths(table["path"], cohort)
    found, strangers = [], []
    for path, rows in table.groupby(table["path"].map(str), sort=False):
        key = keys.get(Path(str(path)))
        if key is None:
            strangers.append(Path(str(path)).name)
            continue
        spheres = rows[_COLUMNS].dropna().to_numpy(float)
        split = rows["split"].iloc[0] if "split" in rows else ""
        patient = cohort.record(key).patient
        found.append(LabelledSpheres(key, patient, as_spheres(spheres), split))
    if not found:
        raise BadLabels(
            f"no row of {source.name} names a scan of the cohort {cohort.path.name} "
            f"({', '.join(strangers[:4])})",
            expected="the paths that the cohort was prepared from",
            next_step="Correct the column 'path', or choose another cohort.",
        )
    return found, [
        f"{name} is no scan of the cohort: passed over" for name in strangers
    ]


def _of_masks(source: Path, cohort: Cohort) -> tuple[list[LabelledSpheres], list[str]]:
    from scanlearn.scans.labels import read_label_map

    files, strangers = match_labels(source, cohort)
    found = []
    for file in files:
        record = cohort.record(file.key)
        spheres = components(*read_label_map(file.path))
        found.append(LabelledSpheres(file.key, record.patient, spheres))
    remarks = [
        f"{item.scan}: {len(item.spheres)} findings made of the mask's components"
        for item in found
    ]
    remarks += [f"{path.name} matches no scan: passed over" for path in strangers]
    return found, remarks


def _check_inside(item: LabelledSpheres, grid: Grid) -> None:
    """Refuse a centre that is not in the scan: its axes were taken for others."""
    index = grid.to_index(item.spheres[:, :3])
    outside = ((index < -0.5) | (index > np.array(grid.shape) - 0.5)).any(axis=1)
    if outside.any():
        x, y, z = item.spheres[outside][0, :3]
        low, high = grid.bounds_mm()
        spans = ", ".join(
            f"{axis} {a:.0f} to {b:.0f}"
            for axis, a, b in zip("xyz", low, high, strict=True)
        )
        raise BadLabels(
            f"A finding of {item.scan} lies at ({x:.0f}, {y:.0f}, {z:.0f}) mm, outside "
            f"the scan ({spans} mm)",
            expected="LPS millimetres: x to the left, y to the back, z to the head",
            next_step="RAS coordinates have x and y with the other sign; voxel indices "
            "must be made millimetres first.",
        )
