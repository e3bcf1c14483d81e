"""Stores give back what was written, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scanlearn.cohort.store import STORES


@pytest.mark.parametrize("name", sorted(STORES))
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_boxes_are_what_was_written(tmp_path: Path, name: str, dtype: str) -> None:
    if name == "blosc2":
        pytest.importorskip("blosc2")
    store = STORES[name]
    rng = np.random.default_rng(0)
    for shape in ((70, 5, 90), (1, 40, 30)):
        voxels = (rng.random(shape) * 1000).astype(dtype)
        path = tmp_path / f"{shape[0]}{store.suffix}"
        store.write(path, voxels.transpose(0, 1, 2))
        opened = store.open(path)
        assert tuple(opened.shape) == shape
        box = np.asarray(opened[0:30, 1:4, 20:28])
        np.testing.assert_array_equal(box, voxels[0:30, 1:4, 20:28])
        assert box.dtype == dtype
    assert not list(tmp_path.glob(".*"))


def test_a_memory_map_is_read_only(tmp_path: Path) -> None:
    STORES["npy"].write(tmp_path / "a.npy", np.zeros((2, 2, 2), np.int16))
    opened = STORES["npy"].open(tmp_path / "a.npy")
    assert isinstance(opened, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        opened[0, 0, 0] = 1


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with pytest.raises(ValueError, match="Object arrays"):
        STORES["npy"].write(path, np.array([object()]))
    assert list(tmp_path.iterdir()) == []
