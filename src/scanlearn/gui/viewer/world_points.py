"""Points that reach across slices, while images keep to their own.

napari shows a point on the slices that lie within half a voxel of it, of the point
layer's own voxels. So these are made as large as points shall reach. The other way,
margins of the view, would thicken the slices of images too, and voxels of a millimetre
would put steps between the slices of a scan.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlearn.gui.viewer.layers import AXIS_LABELS

#: No sphere is larger.
LARGEST_MM = 200.0

#: Larger than any sphere: a size of one voxel and more was never meant as voxels.
_VOXEL_MM = 256.0


def world_points(voxel_mm: float = _VOXEL_MM) -> dict[str, Any]:
    """Return what layers of points in the patient's millimetres share.

    Parameters
    ----------
    voxel_mm
        Points are seen on slices up to half as far from them. Their data and sizes are
        millimetres divided by it: see :func:`in_voxels`.

    Returns
    -------
    dict
        Spheres are shown as large as a slice cuts them.
    """
    return {
        "ndim": 3,
        "scale": (voxel_mm,) * 3,
        "projection_mode": "rescale_spherical",
        "units": ("mm",) * 3,
        "axis_labels": AXIS_LABELS,
    }


def in_voxels(mm: ArrayLike, voxel_mm: float = _VOXEL_MM) -> NDArray[np.float64]:
    """Return places or diameters in millimetres as such a layer holds them."""
    return np.asarray(mm, dtype=float) / voxel_mm


def diameters_mm(layer: Any) -> NDArray[np.float64]:
    """Return how large the points of such a layer are."""
    return np.asarray(layer.size, dtype=float) * float(layer.scale[0])


def size_by_slider(layer: Any) -> None:
    """Let napari's own slider of the point size count millimetres.

    It knows whole numbers from 1 up, which in such a layer are hundreds of millimetres.
    """

    def take(_event: object) -> None:
        if layer.current_size >= 1:
            layer.current_size = float(in_voxels(layer.current_size, layer.scale[0]))

    layer.events.current_size.connect(take)
