"""From a file or folder to layers: the one path of the readers and the Scans dock."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from scanlearn.cohort.labels.label_files import may_be_labels
from scanlearn.cohort.labels.names import is_label_name, stem_of
from scanlearn.errors import ScanlearnError
from scanlearn.gui.viewer.layers import (
    LayerData,
    Origin,
    image_layer,
    labels_layer,
    short_key,
)
from scanlearn.scans.read import OnUneven
from scanlearn.scans.scan import Acquisition, Problem, Scan, ScanEntry, has_scale

#: With fewer slices the whole is there as soon.
_MANY_SLICES = 24


def patient_of(entry: ScanEntry) -> str:
    """Return the pseudonymous key of an entry's patient, the same as in cohorts."""
    from scanlearn.cohort.keys import installation_salt, patient_key
    from scanlearn.cohort.preparation.plan import patient_identity

    return patient_key(patient_identity(entry), installation_salt())


def read_entry(entry: ScanEntry, *, on_uneven: OnUneven = "refuse") -> LayerData:
    """Read one scan as an image layer; slow, so call it off the main thread."""
    from scanlearn.scans.read import read_scan

    _warm_units()
    scan = read_scan(entry, on_uneven=on_uneven)
    return image_layer(scan, _origin(entry, scan, on_uneven))


def first_slice(entry: ScanEntry) -> LayerData | None:
    """Read the middle slice as a layer of its own, in its place in the patient.

    None where one slice is not read sooner than all: compressed files of a whole
    volume, few slices, and slices that are not axial, which napari would show as a
    line.
    """
    from scanlearn.scans.read import read_scan

    if entry.kind != "dicom" or len(entry.files) < _MANY_SLICES:
        return None
    _warm_units()
    middle = replace(entry, files=(entry.files[len(entry.files) // 2],))
    try:
        scan = read_scan(middle)
    except ScanlearnError:
        return None  # the whole says in words what is wrong
    shown = scan.canonical()
    if shown.grid.shape[0] != 1 or not scan.grid.is_aligned:
        return None
    data, settings, kind = image_layer(scan, _origin(entry, scan, "refuse"))
    return data, settings, kind


def is_uneven(entry: ScanEntry) -> Problem | None:
    """Return what is uneven about the slices of a scan, if anything."""
    found = [p for p in entry.problems if p.code in ("missing", "uneven")]
    return found[0] if found else None


def _origin(entry: ScanEntry, scan: Scan, on_uneven: OnUneven) -> Origin:
    return Origin(
        source=entry.path.absolute(),
        grid=scan.grid,
        patient=short_key(patient_of(entry)),
        modality=_modality(scan.acquisition),
        series=entry.series_uid,
        volume=entry.volume,
        on_uneven=on_uneven,
        letters=scan.acquisition.letters,
        has_scale=has_scale(scan.problems),
    )


def _modality(acquisition: Acquisition) -> str:
    """Return a modality worth showing: files that say nothing are of kind "OT"."""
    if acquisition.modality != "OT":
        return acquisition.modality
    return "CT" if acquisition.units == "HU" else ""


def _warm_units() -> None:
    """Load the registry of units here: napari would, for half a second of its own."""
    import pint

    pint.get_application_registry().get_base_units("mm")


def read_mask(path: Path) -> LayerData:
    """Read a label map as a labels layer on its own canonical axes."""
    import numpy as np

    from scanlearn.scans.geometry import to_canonical_axes
    from scanlearn.scans.labels.read_labels import read_label_map, read_label_names

    labels, grid = read_label_map(path)
    turned, shown = to_canonical_axes(labels, grid)
    origin = Origin(source=path, grid=grid, patient=stem_of(path))
    names = read_label_names(path)
    values = [int(value) for value in np.unique(turned) if value]
    classes = {value: names.get(value, f"class {value}") for value in values}
    data, settings, kind = labels_layer(
        np.ascontiguousarray(turned), shown, origin, name="mask", classes=classes
    )
    return data, settings | {"name": stem_of(path)}, kind


def is_mask(path: Path) -> bool:
    """Whether the name of a file says that it holds labels."""
    return path.exists() and is_label_name(path) and may_be_labels(path)
