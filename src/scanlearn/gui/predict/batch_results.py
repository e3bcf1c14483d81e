"""The results of many scans, read for a table, and each as layers over its scan."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from napari.layers import Layer

from scanlearn.gui.predict.prediction_layers import prediction_layers
from scanlearn.gui.viewer.add_layers import made
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import LayerData, Origin, image_layer, short_key
from scanlearn.prediction.summary import SUMMARY, Prediction, read_prediction
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Scan
from scanlearn.scans.tables.results import Cell


@dataclass(frozen=True)
class ResultRow:
    """One scan's result: what it is, and its numbers by column."""

    prediction: Prediction
    cells: dict[str, Cell]


@dataclass(frozen=True)
class OpenedResult:
    """A scan with its result, ready to be shown.

    Parameters
    ----------
    image
        Of the scan.
    layers
        Of the result, over it; made, but not shown yet.
    origin, shown
        The scan, and the grid of its image.
    """

    prediction: Prediction
    image: LayerData
    layers: list[Layer]
    origin: Origin
    shown: Grid


def read_rows(folder: Path, known: Collection[str]) -> list[ResultRow]:
    """Read the results in a folder but those of scans that are known; slow."""
    from scanlearn.prediction.overview import overview

    rows = []
    for file in sorted(folder.glob(f"*{SUMMARY}")):
        if file.name.removesuffix(SUMMARY) not in known:
            prediction = read_prediction(file)
            rows.append(ResultRow(prediction, overview(prediction)))
    return rows


def open_result(prediction: Prediction, source: Path) -> OpenedResult:
    """Read the scan of a result, and the layers to lay over it; slow.

    Parameters
    ----------
    prediction
        The result.
    source
        The folder or cohort that was predicted on.

    Raises
    ------
    ScanlearnError
        If the scan is not there any more, or another one.
    """
    if prediction.source == "cohort":
        scan, origin = _stored(source, prediction.scan)
        image = image_layer(scan, origin)
        shown = scan.canonical().grid
    else:
        from scanlearn.prediction.sources import scan_named
        from scanlearn.scans.read import read_scan

        entry = scan_named(prediction.scan, source)
        image = read_entry(entry)
        shown = read_scan(entry).canonical().grid
        origin = _origin_of(image)
    found, layers = prediction_layers([prediction], origin, shown)
    return OpenedResult(found, image, made(layers), origin, shown)


def _origin_of(image: LayerData) -> Origin:
    from scanlearn.gui.viewer.layers import ORIGIN

    origin: Origin = image[1]["metadata"][ORIGIN]
    return origin


def _stored(folder: Path, key: str) -> tuple[Scan, Origin]:
    """Return a scan as a cohort holds it, tied to where it came from."""
    from scanlearn.cohort.catalogue import Cohort

    cohort = Cohort(folder)
    scan, source = cohort.scan(key), cohort.sources().get(key)
    place = Path(source.path) if source is not None else folder
    origin = Origin(
        source=place,
        grid=scan.grid,
        patient=short_key(cohort.record(key).patient),
        modality=scan.acquisition.modality,
        series=source.series if source is not None else "",
        volume=int(source.volume) if source is not None and source.volume else None,
    )
    return scan, origin
