"""How like one place the tissue of whole scans is: cosines of dense features.

No torch in here: a viewer answers a click with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlearn.encoders.encoder_kind import encoder_kind
from scanlearn.errors import BadScan
from scanlearn.files import written_beside
from scanlearn.scans.geometry import Grid

#: What the names of files of features end in.
ENDING = "_features.npz"

#: Likeness of places that were not encoded: less than any cosine.
UNKNOWN = -2.0

Vectors = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """The features of a scan's patches on a coarse grid.

    Parameters
    ----------
    vectors
        (n, d) of unit length.
    cells
        (n, 3) where they are, in indices of the grid.
    grid
        Where the patches' centres are.
    """

    vectors: Vectors
    cells: NDArray[np.int_]
    grid: Grid

    @classmethod
    def of(cls, features: Vectors, known: NDArray[np.bool_], grid: Grid) -> FeatureMap:
        """Return the known vectors of a dense map (d, D, H, W), made unit length."""
        cells = np.argwhere(known)
        vectors = features[:, known].T
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        return cls(vectors / np.maximum(length, 1e-12), cells, grid)

    def at(self, point: ArrayLike) -> Vectors:
        """Return the vector (d,) of the patch nearest to a place, LPS millimetres.

        Raises
        ------
        BadScan
            If none lies within two cells of it.
        """
        index = self.grid.to_index(np.asarray(point, dtype=float))
        apart = np.abs(self.cells - index).max(axis=1)
        nearest = int(apart.argmin()) if len(apart) else -1
        if nearest < 0 or apart[nearest] > 2:
            raise BadScan(
                "No features are known at this place",
                expected="tissue that the encoder was trained on, such as lung",
                next_step="Click on another place",
            )
        return np.asarray(self.vectors[nearest])

    def likeness(self, vector: Vectors) -> NDArray[np.float32]:
        """Return the cosine with a unit vector everywhere, :data:`UNKNOWN` elsewhere.

        Returns
        -------
        (D, H, W) float32.
        """
        found = np.full(self.grid.shape, UNKNOWN, dtype=np.float32)
        found[tuple(self.cells.T)] = self.vectors @ vector
        return found

    def save(self, path: Path) -> None:
        """Write the map; vectors as float16, cosines of which differ by 1e-3."""
        with written_beside(path) as beside:
            np.savez(
                beside,
                vectors=self.vectors.astype(np.float16),
                cells=self.cells.astype(np.int32),
                shape=np.array(self.grid.shape),
                affine=self.grid.affine,
            )


def read_feature_map(path: Path) -> FeatureMap:
    """Read a map that :meth:`FeatureMap.save` wrote."""
    with np.load(path, allow_pickle=False) as content:
        d, h, w = (int(n) for n in content["shape"])
        vectors = content["vectors"].astype(np.float32)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        return FeatureMap(
            vectors / np.maximum(length, 1e-12),
            content["cells"].astype(int),
            Grid((d, h, w), content["affine"]),
        )


def has_dense_map(run: Path) -> bool:
    """Whether a run has an encoder that describes patches anywhere in a scan."""
    return encoder_kind(run) in ("patches", "dense")


def lit(
    likeness: NDArray[np.float32], grid: Grid, shown: Grid, least: float
) -> NDArray[np.bool_]:
    """Return the cells that reach a cosine, on the finer grid of a scan.

    They keep their size, with corners rounded: a voxel is lit where the cells around
    it, weighted by their nearness, are lit by half.
    """
    from scanlearn.scans.resample import resample

    cells = (likeness >= least).astype(np.float32)
    share = resample(cells, grid, shown, order=1, outside=0)
    return np.greater_equal(share.astype(np.float32), 0.5)
