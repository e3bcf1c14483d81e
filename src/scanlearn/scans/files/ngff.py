"""The metadata of OME-Zarr images (NGFF 0.4 and 0.5) as grids, and grids as metadata.

https://ngff.openmicroscopy.org/0.5/ defines axes, units, scales and translations; RFC-4
adds the anatomical orientation of an axis. None of them can hold an oblique grid, so
what this program writes also carries its affine, which other readers pass over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.documents import parse_json, read_text
from scanlearn.errors import BadScan
from scanlearn.scans.files.picture import picture_grid
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Scan
from scanlearn.scans.units import millimetres

VERSION = "0.5"

#: Name of the attribute that holds what NGFF has no words for.
OWN = "scanlearn"

#: Which patient axis (LPS) an axis runs along, and whether with it or against it.
_ORIENTATIONS = {
    "right-to-left": (0, 1),
    "left-to-right": (0, -1),
    "anterior-to-posterior": (1, 1),
    "posterior-to-anterior": (1, -1),
    "inferior-to-superior": (2, 1),
    "superior-to-inferior": (2, -1),
}
_CANONICAL = ("inferior-to-superior", "anterior-to-posterior", "right-to-left")
_BY_NAME = {"x": (0, 1), "y": (1, 1), "z": (2, 1)}


@dataclass(frozen=True, eq=False)
class Image:
    """What the metadata of an OME-Zarr image say.

    Parameters
    ----------
    dataset
        Path of the array of full resolution, inside the image.
    spatial
        Numbers of its space axes, in array order; two for a single picture.
    scale_mm, shift_mm
        Of these axes: distance of neighbouring voxels, place of the first.
    sides
        Of these axes: patient axis (0 to the left, 1 to the back, 2 to the head) and
        direction.
    oriented
        Whether the file states the patient's sides.
    own
        What this program added.
    """

    dataset: str
    spatial: tuple[int, ...]
    scale_mm: tuple[float, ...]
    shift_mm: tuple[float, ...]
    sides: tuple[tuple[int, int], ...]
    oriented: bool
    own: Mapping[str, Any]

    def grid(self, shape: tuple[int, ...]) -> Grid:
        """Return the grid of an array with these sizes along its space axes."""
        if len(shape) == 2:
            rows, columns = shape
            return picture_grid(rows, columns, spacing_mm=_pair(self.scale_mm))
        sizes = (shape[0], shape[1], shape[2])
        affine = np.zeros((4, 4))
        affine[3, 3] = 1
        for axis, (patient, sign) in enumerate(self.sides):
            affine[patient, axis] = sign * self.scale_mm[axis]
            affine[patient, 3] = sign * self.shift_mm[axis]
        exact = self._own_affine()
        return Grid(sizes, affine if exact is None else exact)

    def _own_affine(self) -> NDArray[np.float64] | None:
        """Return the affine that was written beside, unless a scale was changed."""
        try:
            affine = np.array(self.own["affine_lps"], dtype=np.float64)
            spacing = np.linalg.norm(affine[:3, :3], axis=0)
            same = np.allclose(spacing, self.scale_mm) and np.allclose(
                affine[:3, 3][::-1], self.shift_mm
            )
        except (KeyError, ValueError, TypeError, IndexError):
            return None
        return affine if same and affine.shape == (4, 4) else None


def is_ome_image(folder: Path) -> bool:
    """Whether a folder is an OME-Zarr image, told from its metadata alone."""
    for name in ("zarr.json", ".zattrs"):
        path = folder / name
        try:
            found = path.is_file()
        except OSError:  # a folder that may not be entered
            return False
        if found:
            try:
                content = parse_json(read_text(path))
                attributes = (
                    content.get("attributes", {}) if name[0] == "z" else content
                )
                return "multiscales" in attributes.get("ome", attributes)
            except (OSError, ValueError, AttributeError):
                # Whoever reads it says what is wrong.
                return True
    return False


def understand(path: Path, attributes: Mapping[str, Any]) -> Image:
    """Understand the attributes of an image's group.

    Raises
    ------
    BadScan
        If they are not those of an NGFF image, or of one that is no scan.
    """
    try:
        return _understand(path, attributes)
    except (KeyError, IndexError, TypeError, ValueError) as problem:
        raise bad_zarr(
            path, f"its metadata are incomplete ({type(problem).__name__}: {problem})"
        ) from None


def metadata(scan: Scan, levels: list[tuple[str, tuple[int, ...]]]) -> dict[str, Any]:
    """Return the attributes of a scan's group.

    Parameters
    ----------
    scan
        Its array axes are written as z, y and x.
    levels
        Path of each resolution, finest first, and the factors it is subsampled by.
    """
    axes: list[dict[str, Any]] = [
        {"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"
    ]
    if scan.grid.is_canonical and not scan.is_radiograph:
        for axis, value in zip(axes, _CANONICAL, strict=True):
            axis["orientation"] = {"type": "anatomical", "value": value}
    first = [float(mm) for mm in scan.grid.affine[:3, 3][::-1]]
    datasets = [
        {
            "path": name,
            "coordinateTransformations": [
                {
                    "type": "scale",
                    "scale": [
                        mm * n for mm, n in zip(scan.grid.spacing_mm, by, strict=True)
                    ],
                },
                # Every level keeps the first voxel of the finest.
                {"type": "translation", "translation": first},
            ],
        }
        for name, by in levels
    ]
    multiscale = {"axes": axes, "datasets": datasets, "type": "subsampled"}
    return {
        "ome": {"version": VERSION, "multiscales": [multiscale]},
        OWN: {
            "affine_lps": scan.grid.affine.tolist(),
            "modality": scan.acquisition.modality,
            "units": scan.acquisition.units,
        },
    }


def bad_zarr(path: Path, why: str) -> BadScan:
    """Return the error of an OME-Zarr image that is no scan."""
    return BadScan(
        f"{path} cannot be read as OME-Zarr: {why}",
        expected="an image of NGFF version 0.4 or 0.5",
        next_step="Export it again from where it came from, or take it out",
    )


def _understand(path: Path, attributes: Mapping[str, Any]) -> Image:
    multiscale = attributes.get("ome", attributes)["multiscales"][0]
    axes = multiscale["axes"]
    if not all(isinstance(axis, Mapping) for axis in axes):
        raise bad_zarr(path, "it is older than NGFF 0.4")
    dataset = multiscale["datasets"][0]
    scale, shift = _transformed(
        path,
        [
            *dataset["coordinateTransformations"],
            *multiscale.get("coordinateTransformations", ()),
        ],
        len(axes),
    )
    spatial = tuple(n for n, axis in enumerate(axes) if axis.get("type") == "space")
    if len(spatial) not in (2, 3):
        raise bad_zarr(path, f"it has {len(spatial)} axes in space, not 2 or 3")
    stated = [millimetres(str(axes[n].get("unit") or "mm")) for n in spatial]
    units = [mm for mm in stated if mm is not None]
    if len(units) < len(stated):
        names = ", ".join(str(axes[n].get("unit")) for n in spatial)
        raise bad_zarr(path, f"its units are {names}, not lengths that are known")
    sides = tuple(_side(axes[n]) for n in spatial)
    if len({patient for patient, _ in sides}) != len(sides):
        raise bad_zarr(path, "two of its axes run the same way")
    return Image(
        str(dataset["path"]),
        spatial,
        tuple(scale[n] * mm for n, mm in zip(spatial, units, strict=True)),
        tuple(shift[n] * mm for n, mm in zip(spatial, units, strict=True)),
        sides,
        all("orientation" in axes[n] for n in spatial),
        attributes.get(OWN, {}),
    )


def _transformed(
    path: Path, transformations: list[Mapping[str, Any]], axes: int
) -> tuple[list[float], list[float]]:
    """Return the scale and the shift that a chain of transformations comes to."""
    scale, shift = np.ones(axes), np.zeros(axes)
    for one in transformations:
        kind = one["type"]
        if kind == "scale":
            scale, shift = scale * one["scale"], shift * one["scale"]
        elif kind == "translation":
            shift = shift + one["translation"]
        elif kind != "identity":
            raise bad_zarr(path, f"it has a transformation of type {kind}")
    return scale.tolist(), shift.tolist()


def _side(axis: Mapping[str, Any]) -> tuple[int, int]:
    stated = axis.get("orientation")
    if isinstance(stated, Mapping):
        return _ORIENTATIONS[str(stated["value"])]
    return _BY_NAME[str(axis["name"]).lower()]


def _pair(values: tuple[float, ...]) -> tuple[float, float]:
    return values[0], values[1]
