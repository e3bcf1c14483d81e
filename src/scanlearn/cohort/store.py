"""How the voxels of a scan lie on disk, behind one small interface."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlearn.errors import BadCohort
from scanlearn.files import written_beside


class Store(Protocol):
    """Writes and opens arrays; an opened one gives boxes by slicing."""

    @property
    def suffix(self) -> str:
        """Ending of the files."""
        ...

    def write(self, path: Path, voxels: NDArray[np.generic]) -> None:
        """Write an array, whole or not at all."""
        ...

    def open(self, path: Path) -> NDArray[np.generic]:
        """Open an array without reading it; a slice of it is read when taken."""
        ...


class NpyStore:
    """One memory-mapped ``.npy`` a scan: the fastest random reads."""

    suffix = ".npy"

    def write(self, path: Path, voxels: NDArray[np.generic]) -> None:
        """Write an array, whole or not at all."""
        with written_beside(path) as part, part.open("wb") as stream:
            np.save(stream, np.ascontiguousarray(voxels), allow_pickle=False)

    def open(self, path: Path) -> NDArray[np.generic]:
        """Map an array into memory, read-only."""
        array: NDArray[np.generic] = np.load(path, mmap_mode="r", allow_pickle=False)
        return array


class Blosc2Store:
    """Compressed blocks: half the disk of ``.npy`` for CT, a fifth of its reads."""

    suffix = ".b2nd"
    chunks = (64, 64, 64)
    blocks = (16, 16, 16)

    def write(self, path: Path, voxels: NDArray[np.generic]) -> None:
        """Write an array, whole or not at all."""
        blosc2 = _blosc2()
        # Its writer refuses shapes smaller than a chunk.
        chunks = tuple(
            min(c, n) for c, n in zip(self.chunks, voxels.shape, strict=True)
        )
        blocks = tuple(min(b, c) for b, c in zip(self.blocks, chunks, strict=True))
        settings = blosc2.CParams(
            codec=blosc2.Codec.LZ4, filters=[blosc2.Filter.BITSHUFFLE], clevel=5
        )
        with written_beside(path) as part:
            blosc2.asarray(
                np.ascontiguousarray(voxels),
                chunks=chunks,
                blocks=blocks,
                cparams=settings,
                urlpath=str(part),
                mode="w",
            )

    def open(self, path: Path) -> NDArray[np.generic]:
        """Open a compressed array, read-only; slices of it are numpy arrays."""
        array: NDArray[np.generic] = _blosc2().open(str(path), mode="r")
        return array


#: Planes read at a time: a row of chunks of a compressed store.
_SLAB = Blosc2Store.chunks[0]

STORES: dict[str, Store] = {"npy": NpyStore(), "blosc2": Blosc2Store()}


def stored_hash(voxels: NDArray[np.generic]) -> str:
    """Return a hash of shape, type and values: alike in every store."""
    digest = hashlib.blake2b(
        f"{tuple(voxels.shape)} {voxels.dtype}".encode(), digest_size=16
    )
    for first in range(0, len(voxels), _SLAB):
        digest.update(np.ascontiguousarray(voxels[first : first + _SLAB]).data)
    return digest.hexdigest()


def filled_box(
    voxels: NDArray[np.generic], start: ArrayLike, shape: ArrayLike, outside: float
) -> NDArray[np.generic]:
    """Copy a box of an array; what lies beyond the array is filled with ``outside``.

    Parameters
    ----------
    voxels
        An array, or an opened one of a store.
    start, shape
        First index (may be negative) and size of the box.
    """
    first = np.asarray(start, dtype=np.intp)
    sizes = np.asarray(shape, dtype=np.intp)
    low = np.clip(first, 0, voxels.shape)
    high = np.clip(first + sizes, low, voxels.shape)
    inner = voxels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    if (high - low == sizes).all():
        return np.array(inner)
    box = np.full(sizes, outside, dtype=voxels.dtype)
    place = zip(low - first, high - first, strict=True)
    box[tuple(slice(a, max(a, b)) for a, b in place)] = inner
    return box


def _blosc2() -> Any:
    try:
        import blosc2
    except ImportError:
        raise BadCohort(
            "this cohort is stored with blosc2, which is not installed",
            next_step="Install it with: pip install blosc2",
        ) from None
    return blosc2
