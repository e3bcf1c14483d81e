"""Densities and texture of axial patches, by hand: what needs no encoder.

The control of every encoder, and what a texture task falls back on from scratch: with
few labels it beats a network that starts from nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Floats = NDArray[np.float32]

#: Edges of the density bins (HU); what is outside falls into the first and the last.
_EDGES = np.arange(-1010.0, -449.0, 20.0)

#: Scales (voxels) of the Gaussian derivatives, after Sorensen et al., IEEE Trans Med
#: Imaging 2010.
_SIGMAS = (0.6, 1.2, 2.4)

#: Denser tissue is all alike: a vessel or the chest wall must not hide the lung.
_LOWEST, _HIGHEST = -1024.0, -400.0

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


def histogram_features(patches: NDArray[np.generic]) -> Floats:
    """Return the square roots of the density histograms of patches (n, H, W) in HU."""
    flat = np.asarray(patches, dtype=np.float32).reshape(len(patches), -1)
    bins = np.searchsorted(_EDGES, flat)
    count = len(_EDGES) + 1
    rows = np.arange(len(flat))[:, None] * count
    found = np.bincount((bins + rows).ravel(), minlength=len(flat) * count)
    return np.sqrt(found.reshape(len(flat), count) / flat.shape[1]).astype(np.float32)


def texture_features(patches: NDArray[np.generic]) -> Floats:
    """Return quantiles of Gaussian derivatives of patches (n, H, W) in HU.

    Of every scale the smoothed patch, the gradient's magnitude, the Laplacian and both
    eigenvalues of the Hessian, the larger first; of each the 5th, 25th, 50th, 75th and
    95th percentile. On emphysema patches these told classes apart far better than
    moments did, which a few vessels decide.
    """
    x = np.clip(np.asarray(patches, dtype=np.float32), _LOWEST, _HIGHEST)
    columns = []
    for sigma in _SIGMAS:

        def at(rows: int, cols: int, sigma: float = sigma) -> Floats:
            found: Floats = ndimage.gaussian_filter(
                x, (0, sigma, sigma), order=(0, rows, cols), mode="nearest"
            )
            return found

        yy, xx, xy = at(2, 0), at(0, 2), at(1, 1)
        half, root = (yy + xx) / 2, np.sqrt(((yy - xx) / 2) ** 2 + xy**2)
        gradient = np.hypot(at(1, 0), at(0, 1))
        for response in (at(0, 0), gradient, yy + xx, half + root, half - root):
            columns += [*np.quantile(response, _QUANTILES, axis=(1, 2))]
    return np.stack(columns, axis=1).astype(np.float32)


def handmade_features(patches: NDArray[np.generic]) -> Floats:
    """Return densities and texture of patches (n, H, W) in HU, side by side."""
    both = [histogram_features(patches), texture_features(patches)]
    return np.concatenate(both, axis=1)
