"""From a file or folder to layers: the one path of the readers and the Scans dock."""

from __future__ import annotations

from pathlib import Path

from scanlearn.cohort.plan import stem_of
from scanlearn.gui.layers import LayerData, Origin, image_layer, labels_layer, short_key
from scanlearn.scans.scan import Acquisition, ScanEntry

_MASK_ENDINGS = ("_labels", "_label", "_seg", "_mask")


def patient_of(entry: ScanEntry) -> str:
    """Return the pseudonymous key of an entry's patient, the same as in cohorts."""
    from scanlearn.cohort.keys import installation_salt, patient_key
    from scanlearn.cohort.plan import patient_identity

    return patient_key(patient_identity(entry), installation_salt())


def read_entry(entry: ScanEntry) -> LayerData:
    """Read one scan as an image layer; slow, so call it off the main thread."""
    from scanlearn.scans.read import read_scan

    _warm_units()
    scan = read_scan(entry)
    origin = Origin(
        source=entry.path.absolute(),
        grid=scan.grid,
        patient=short_key(patient_of(entry)),
        modality=_modality(scan.acquisition),
        series=entry.series_uid,
        volume=entry.volume,
    )
    return image_layer(scan, origin)


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
    from scanlearn.scans.labels import read_label_map, read_label_names

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
    return path.is_file() and stem_of(path).lower().endswith(_MASK_ENDINGS)
