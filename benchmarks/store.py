"""Random boxes a second from the cohort stores, against zarr.

Prints one JSON document. Rounds of stores are interleaved, and ratios are medians of
the ratios within rounds, so that a busy machine disturbs all of them alike.

Example: python benchmarks/store.py --size 300 --rounds 5
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.store import STORES

SIDES = (32, 64)


def volume(size: int) -> NDArray[np.int16]:
    """Return a volume that compresses about as well as a CT: smooth, with noise."""
    rng = np.random.default_rng(0)
    z, y, x = np.ogrid[:size, :size, :size]
    smooth = 400 * np.sin(z / 17) * np.cos(y / 23) * np.sin(x / 29) - 400
    noise = rng.normal(0, 12, (size,) * 3)
    return np.clip(smooth + noise, -1024, 240).astype(np.int16)


def zarr_array(path: Path, voxels: NDArray[np.int16]) -> object:
    import zarr
    from zarr.codecs import BloscCodec

    array = zarr.create_array(
        store=str(path),
        shape=voxels.shape,
        chunks=(64, 64, 64),
        dtype=voxels.dtype,
        compressors=BloscCodec(cname="lz4"),
    )
    array[:] = voxels
    return zarr.open_array(str(path), mode="r")


def reads_a_second(
    array: object, starts: NDArray[np.int_], side: int, copy: Callable[..., object]
) -> float:
    begin = time.process_time()
    for z, y, x in starts:
        copy(array[z : z + side, y : y + side, x : x + side])
    return len(starts) / (time.process_time() - begin)


def on_disk(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reads", type=int, default=60)
    options = parser.parse_args()
    voxels = volume(options.size)
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        arrays, megabytes = {}, {}
        for name, store in STORES.items():
            path = Path(folder, f"volume{store.suffix}")
            store.write(path, voxels)
            arrays[name], megabytes[name] = store.open(path), on_disk(path) / 1e6
        path = Path(folder, "volume.zarr")
        arrays["zarr"] = zarr_array(path, voxels)
        megabytes["zarr"] = on_disk(path) / 1e6
        rates: dict[str, dict[int, list[float]]] = {
            name: {side: [] for side in SIDES} for name in arrays
        }
        for _ in range(options.rounds):
            for side in SIDES:
                starts = rng.integers(0, options.size - side, (options.reads, 3))
                for name, array in arrays.items():
                    # As many reads as take a while, whatever the store's speed.
                    times = 20 if name == "npy" else 4 if name == "blosc2" else 1
                    many = np.tile(starts, (times, 1))
                    rates[name][side].append(
                        reads_a_second(array, many, side, np.array)
                    )
    result = {
        "machine": platform.processor() or platform.machine(),
        "volume": [options.size] * 3,
        "rounds": options.rounds,
        "stores": {
            name: {
                "megabytes": round(megabytes[name], 1),
                **{
                    f"reads_{side}_a_second": round(median(rates[name][side]))
                    for side in SIDES
                },
            }
            for name in arrays
        },
        "ratio_to_zarr": {
            name: {
                f"{side}": round(
                    median(
                        mine / zarr
                        for mine, zarr in zip(
                            rates[name][side], rates["zarr"][side], strict=True
                        )
                    ),
                    1,
                )
                for side in SIDES
            }
            for name in STORES
        },
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
