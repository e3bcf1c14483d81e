"""The only place that makes napari layers from scans, labels and probabilities."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray

from scanlearn.config.palette import AGAINST, FOR, class_colour
from scanlearn.scans.formats import stem_of
from scanlearn.scans.geometry import Grid, napari_affine, world_to_patient
from scanlearn.scans.read import OnUneven
from scanlearn.scans.scan import Scan

#: Data, keyword arguments, and the type of a layer.
LayerData = tuple[NDArray[Any], dict[str, Any], str]

#: Key of :class:`Origin` in ``layer.metadata``.
ORIGIN = "scanlearn"

#: Name of each class value in ``layer.metadata``.
CLASSES = "scanlearn classes"

#: In ``layer.metadata`` of labels: what counts as truth, a
#: :class:`scanlearn.cohort.labels.known_slices.KnownSlices`, or None before the first
#: stroke on an empty layer. Without the key the labels themselves tell.
KNOWN = "scanlearn known"

#: In ``layer.metadata`` of labels: tells a layer from others on the same scan, also
#: when it comes back from disk.
LAYER = "scanlearn layer"

#: Marks an image layer that lies over a scan, in ``layer.metadata``.
OVERLAY = "scanlearn overlay"

#: Diameter of a marked place as it is drawn.
_POINT_MM = 10.0

AXIS_LABELS = ("S", "P", "L")


@dataclass(frozen=True)
class Origin:
    """Where the voxels of a layer come from, and the grid they had there.

    ``on_uneven`` says what was chosen for missing or unevenly spaced slices;
    ``letters`` are those of a radiograph, see
    :class:`scanlearn.scans.scan.Acquisition`. ``has_scale`` is false where millimetres
    are not known.
    """

    source: Path
    grid: Grid
    patient: str
    modality: str = ""
    series: str = ""
    volume: int | None = None
    on_uneven: OnUneven = "refuse"
    letters: tuple[str, ...] = ()
    has_scale: bool = True

    def options(self) -> list[str]:
        """Return what makes a command read the scan as it is shown."""
        series = ["--series", self.series] if self.series else []
        uneven = ["--uneven", "resample"] if self.on_uneven == "resample" else []
        return series + uneven

    @property
    def folder_name(self) -> str:
        """A folder's name for what is kept of this scan, without names of people."""
        place = f"{self.source}|{self.series}|{self.volume}|{self.on_uneven}"
        digest = blake2b(place.encode(errors="surrogateescape"), digest_size=6)
        return f"{re.sub(r'[^A-Za-z0-9-]+', '_', self.patient)}_{digest.hexdigest()}"

    def same_scan(self, other: Origin) -> bool:
        """Whether both layers show the same scan."""
        mine = (self.source, self.series, self.volume)
        return mine == (other.source, other.series, other.volume)


def image_layer(scan: Scan, origin: Origin) -> LayerData:
    """Return a scan as an image layer on its canonical grid.

    Voxels keep their values; only an oblique scan is resampled to be shown.
    """
    from scanlearn.scans.windows import display_range

    shown = scan.canonical()
    return (
        np.ascontiguousarray(shown.voxels),
        {
            "name": f"{origin.patient} · {origin.modality or stem_of(origin.source)}",
            "contrast_limits": display_range(shown),
            "colormap": "gray",
            **placed(shown.grid, origin),
        },
        "image",
    )


def labels_layer(
    labels: NDArray[Any],
    grid: Grid,
    origin: Origin,
    *,
    name: str,
    classes: Mapping[int, str],
    opacity: float = 0.5,
) -> LayerData:
    """Return a label map on a displayed grid, with class colours and names."""
    return (
        labels,
        {
            "name": f"{origin.patient} · {name} (labels)",
            "opacity": opacity,
            "colormap": class_colormap(classes),
            "features": class_features(classes),
            **placed(grid, origin, {CLASSES: dict(classes)}),
        },
        "labels",
    )


def points_layer(
    grid: Grid, origin: Origin, *, name: str, classes: Mapping[int, str]
) -> LayerData:
    """Return an empty layer of points whose feature ``value`` is their class."""
    return (
        np.zeros((0, 3)),
        {
            "name": f"{origin.patient} · {name} (points)",
            "features": {"value": np.zeros(0, dtype=int)},
            "feature_defaults": {"value": min(classes, default=1)},
            "face_color": class_colour(min(classes, default=1)),
            "border_color": "white",
            "size": _POINT_MM / min(grid.spacing_mm),
            "projection_mode": "none",
            "ndim": 3,
            **placed(grid, origin, {CLASSES: dict(classes)}),
        },
        "points",
    )


def probability_layer(
    probability: NDArray[Any], grid: Grid, origin: Origin, *, value: int, name: str
) -> LayerData:
    """Return the probability of one class, hidden, in the colour of the class."""
    from napari.utils import Colormap

    # From clear to the colour, so that the scan is seen where nothing was found.
    clear = class_colour(value) + "00"
    colours = Colormap([clear, class_colour(value)], name=f"class {value}")
    return (
        probability,
        {
            "name": f"{origin.patient} · probability: {name}",
            "contrast_limits": (0.0, 1.0),
            "colormap": colours,
            "blending": "translucent",
            "opacity": 0.7,
            "visible": False,
            **placed(grid, origin, {OVERLAY: True}),
        },
        "image",
    )


def activation_layer(
    activation: NDArray[Any], grid: Grid, origin: Origin, *, name: str
) -> LayerData:
    """Return what speaks for a class and against it, clear where nothing does."""
    from napari.utils import Colormap

    colours = [AGAINST, AGAINST + "00", FOR + "00", FOR]
    reach = float(np.abs(activation).max()) or 1.0
    return (
        activation,
        {
            "name": f"{origin.patient} · activation: {name}",
            "contrast_limits": (-reach, reach),
            "colormap": Colormap(
                colours, controls=[0.0, 0.48, 0.52, 1.0], name="against and for"
            ),
            "blending": "translucent",
            "opacity": 0.7,
            **placed(grid, origin, {OVERLAY: True}),
        },
        "image",
    )


def uncertainty_layer(
    uncertainty: NDArray[Any], grid: Grid, origin: Origin
) -> LayerData:
    """Return how little sure a model is of each voxel, hidden, clear where it is."""
    from napari.utils import Colormap
    from napari.utils.colormaps import ensure_colormap

    colours = np.array(ensure_colormap("magma").map(np.linspace(0.25, 1, 64)))
    # The surer, the more of the scan is seen.
    colours[:, 3] = np.linspace(0, 1, len(colours))
    return (
        uncertainty,
        {
            "name": f"{origin.patient} · uncertainty",
            "contrast_limits": (0.0, 1.0),
            "colormap": Colormap(colours, name="uncertainty"),
            "blending": "translucent",
            "opacity": 0.8,
            "visible": False,
            **placed(grid, origin, {OVERLAY: True}),
        },
        "image",
    )


def placed(
    grid: Grid, origin: Origin, metadata: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what every layer of a scan shares: its place, units and axis letters."""
    return {
        "affine": napari_affine(grid),
        "units": ("mm",) * 3,
        "axis_labels": AXIS_LABELS,
        "metadata": {ORIGIN: origin, **(metadata or {})},
    }


def class_colormap(classes: Mapping[int, str]) -> Any:
    """Return napari's colours of label values: those of the classes, all else clear."""
    from napari.utils import DirectLabelColormap

    colours: dict[int | None, Any] = {None: "transparent", 0: "transparent"}
    colours |= {value: class_colour(value) for value in classes}
    return DirectLabelColormap(color_dict=colours)


def class_features(classes: Mapping[int, str]) -> dict[str, list[Any]]:
    """Return the table that makes napari show a class's name under the cursor."""
    return {
        "index": [0, *classes],
        "class": ["", *classes.values()],
    }


def origin_of(layer: Any) -> Origin | None:
    """Return where a layer comes from, if it is one of ours."""
    found = layer.metadata.get(ORIGIN)
    return found if isinstance(found, Origin) else None


def is_ct(layer: Any) -> bool:
    """Whether a layer is the image of a CT, not an overlay of one."""
    origin = origin_of(layer)
    return (
        isinstance(layer, Image)
        and origin is not None
        and origin.modality == "CT"
        and not layer.metadata.get(OVERLAY, False)
    )


def set_contrast(layer: Any, low: float, high: float) -> None:
    """Set the values shown as black and white, and let the slider reach them."""
    first, last = layer.contrast_limits_range
    layer.contrast_limits_range = (min(first, low), max(last, high))
    layer.contrast_limits = (low, high)


def grid_of(layer: Any) -> Grid:
    """Return the grid of any three-dimensional layer in patient space."""
    return grid_of_transform(layer.data.shape, layer.data_to_world)


def grid_of_transform(shape: Sequence[int], to_world: Any) -> Grid:
    """Return the grid of voxels whose world positions a function gives."""
    start = world_to_patient(to_world((0, 0, 0)))
    affine = np.eye(4)
    affine[:3, 3] = start
    for axis in range(3):
        affine[:3, axis] = world_to_patient(to_world(np.eye(3)[axis])) - start
    return Grid((int(shape[0]), int(shape[1]), int(shape[2])), affine)


def short_key(patient: str) -> str:
    """Return the first digits of a patient key, as shown: ``P-3f9a``."""
    return patient[:6]
