"""What one scan, one read and one step cost: the figures that `scaling.py` multiplies.

Takes the folder of a chest CT series. Prints one JSON document. Times are seconds of
one processor core, files in the page cache; how fast disks are is not in them.

* ``prepared``: the scan as it is, and with slices as thin as ``--thin`` says, cut from
  it and written as DICOM again; bytes of every file that it leaves.
* ``opened``: a cohort of many copies of the scan (links, with a key and a patient of
  each): opening it, and finding where the atlas lies in every scan, the first time
  and again.
* ``reads``: boxes around landmarks, read as a training reads them.
* ``images``: the joint method's list of all slices, in memory.
* ``steps``: the engine's own steps on 128 copies. Of the joint method's ``standard``
  with few images and volumes, from which the cost of one follows.

Example: OMP_NUM_THREADS=1 python benchmarks/unit_costs.py SERIES > costs.json
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

from scaling import pages
from scanlearn.cohort.atlas.atlas_on_scans import (
    carry_atlas,
    choose_atlas,
    place_cohorts,
)
from scanlearn.cohort.catalogue import Cohort, write_record
from scanlearn.cohort.layout import Layout
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.cohort.slices import slice_cohorts
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.drasclr import LandmarkConfig
from scanlearn.config.joint import JointConfig
from scanlearn.config.prepare import PrepareConfig
from scanlearn.config.run import merge
from scanlearn.encoders.patch_places import patch_start
from scanlearn.engine.devices import make_accelerator
from scanlearn.engine.loop import train
from scanlearn.new_run import new_pretraining, pretraining_config
from scanlearn.phantom.chest import make_chest
from scanlearn.phantom.dicom_out import write_dicom_series
from scanlearn.pretraining.registry import method_named
from scanlearn.runs.events import Step
from scanlearn.scans.geometry import Grid
from scanlearn.scans.read import read_scan
from scanlearn.scans.resample import resample

#: Sides of what is read around a landmark: `paper`, `standard`, and `quick` (at 2 mm).
SIDES = (32, 56, 48)
STORES = ("npy", "blosc2")
COPIES, PATIENTS = 10_000, 128
STEPS = 3

Settings = dict[str, Any]


def seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def thin_series(series: Path, folder: Path, slice_mm: float) -> Path:
    """Cut a scan into thinner slices and write them as a DICOM series."""
    scan = read_scan(series)
    step_mm = scan.grid.spacing_mm[0]
    affine = scan.grid.affine.copy()
    affine[:, 0] *= slice_mm / step_mm
    slices = int(scan.grid.shape[0] * step_mm / slice_mm)
    grid = Grid((slices, *scan.grid.shape[1:]), affine)
    voxels = resample(scan.voxels, scan.grid, grid, order=1, outside=-1024)
    thin = replace(scan, voxels=np.clip(voxels, -1024, 3071), grid=grid)
    header = make_chest(0, 0, spacing_mm=(8.0, 8.0, 8.0))
    write_dicom_series(folder, replace(header, scan=thin))
    return folder


def prepared(series: Path, cohort: Path, *, store: str, crop: str) -> Settings:
    """Prepare a scan in this process."""
    config = PrepareConfig(store=store, crop=crop, workers=0)
    took = seconds(lambda: prepare(series, cohort, config))
    (record,) = Cohort(cohort).records()
    layout, key = Layout(cohort), record.key
    voxels = next(layout.scans.glob(f"{key}.[nb]*")).stat().st_size
    beside = (layout.record(key), layout.lungs(key), layout.preview(key))
    placed = layout.placements.glob(f"*/{key}.json")
    return {
        "store": store,
        "crop": crop,
        "source_slices": record.source_shape[0],
        "source_bytes": sum(f.stat().st_size for f in series.iterdir()),
        "shape": record.shape,
        "voxel_file_bytes": voxels,
        "bytes_a_voxel": round(voxels / float(np.prod(record.shape)), 3),
        "bytes_beside": sum(f.stat().st_size for f in (*beside, *placed)),
        "cpu_seconds": round(took, 2),
    }


def multiplied(cohort: Path, folder: Path, copies: int) -> Path:
    """Make a cohort of links to one scan, each with a key and a patient of its own."""
    (record,) = Cohort(cohort).records()
    one, many = Layout(cohort), Layout(folder)
    many.scans.mkdir(parents=True)
    shutil.copy(one.settings, many.settings)
    kept = next(one.placements.glob("*/*.json"))
    places = many.placements / kept.parent.name
    places.mkdir(parents=True)
    for number in range(copies):
        patient = f"P-{number:010x}"
        key = f"{patient}-000000"
        for file in one.scans.glob(f"{record.key}*"):
            if file.suffix != ".json":
                os.link(file, many.scans / file.name.replace(record.key, key))
        os.link(kept, places / f"{key}.json")
        write_record(many, record.model_copy(update={"key": key, "patient": patient}))
    Cohort(folder).write_table()
    return folder


def opened(few: Path, many: Path) -> Settings:
    """Open a cohort of many scans, and find where the atlas lies in all of them.

    The first training on a cohort measures how well it lies: done to the few alone.
    """
    fresh = WorkingCohorts([few], None)
    atlas = choose_atlas(fresh, LandmarkConfig())
    first = seconds(lambda: carry_atlas(fresh, atlas))
    _take_placement(few, many)
    begin = time.process_time()
    scans = WorkingCohorts([many], None)
    half = time.process_time()
    carry_atlas(scans, atlas)
    end = time.process_time()
    number = len(scans.scans)
    return {
        "scans": number,
        "open_ms_a_scan": round((half - begin) / number * 1e3, 3),
        "place_ms_a_scan": round((end - half) / number * 1e3, 3),
        "first_place_ms_a_scan": round(first / len(fresh.scans) * 1e3, 3),
    }


def _take_placement(few: Path, many: Path) -> None:
    """Give all scans of a cohort the placement that one of the others has."""
    kept = next(Layout(few).placements.glob("*/*.json"))
    for place in Layout(many).placements.glob("*/*.json"):
        place.unlink()
        os.link(kept, place)


def reads(cohort: Path) -> Settings:
    """Read boxes around random landmarks of all scans."""
    placed = place_cohorts(WorkingCohorts([cohort], None), LandmarkConfig())
    rng = np.random.default_rng(0)
    places = rng.choice(placed.atlas.landmarks, 400)
    (one, *_), found = placed.cohorts.scans, {}
    for side in SIDES:
        starts = [patch_start(one, place, side) for place in places]
        took = seconds(
            lambda starts=starts, side=side: [
                placed.cohorts.read(n % PATIENTS, start, (side,) * 3)
                for n, start in enumerate(starts)
            ]
        )
        found[str(side)] = {
            "ms_a_read": round(took / len(starts) * 1e3, 3),
            "npy_pages": round(median(pages(one.grid.shape, s, side) for s in starts)),
        }
    return found


def images(cohort: Path) -> Settings:
    """Measure what the joint method's list of images takes in memory."""
    tracemalloc.start()
    found = slice_cohorts([cohort], JointConfig())
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    number = len(found.images)
    return {"images": number, "list_bytes_an_image": round(held / number)}


def step(
    cohort: Path, folder: Path, method: str, preset: str, changes: Settings
) -> Settings:
    """Train a few steps by the engine, the first of which prepares what it needs."""
    engine = {"steps": STEPS, "log_every": 1, "threads": 1, "rounds": 1, "workers": 0}
    clean = {"clean_batches": 1} if method == "drasclr" else {"clean_images": 2}
    asked = merge({"recipe": clean, "engine": engine}, changes)
    config = pretraining_config(
        [cohort], method=method_named(method), preset_name=preset, changes=asked
    )
    run = new_pretraining(method_named(method), config, folder)
    torch.manual_seed(0)
    accelerator = make_accelerator(config.engine)
    events = train(
        method_named(method).learn(config, run),
        config.engine,
        run.checkpoints,
        accelerator=accelerator,
        should_stop=lambda: False,
    )
    times = [time.process_time() for event in events if isinstance(event, Step)]
    return {
        "preset": f"{method} {preset}",
        "changes": changes,
        "precision": str(accelerator.mixed_precision),
        "cpu_seconds": round(median(b - a for a, b in pairwise(times)), 3),
    }


def joint(stage: str, *, images: int, volumes: int, dense: float = 0.0) -> Settings:
    """Return the settings of one stage of the joint method with few samples."""
    stages = {name: float(name == stage) for name in ("warm", "mask", "joint")}
    sizes = {"batch": images, "volume_batch": volumes, "images_a_volume": 4}
    return {"recipe": {**sizes, "stages": stages, "dense": dense}}


STEPS_OF: tuple[tuple[str, str, Settings], ...] = (
    *(("drasclr", preset, {}) for preset in ("quick", "standard", "paper")),
    ("joint", "standard", joint("warm", images=4, volumes=2)),
    ("joint", "standard", joint("warm", images=8, volumes=2)),
    ("joint", "standard", joint("warm", images=4, volumes=2, dense=1.0)),
    ("joint", "standard", joint("joint", images=4, volumes=2)),
)


def steps(many: Path, four: Path, root: Path) -> list[Settings]:
    """Train every preset; the joint ones on a few scans, which have banks to fill."""
    return [
        step(many if method == "drasclr" else four, root / f"run{n}", method, preset, c)
        for n, (method, preset, c) in enumerate(STEPS_OF)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("series", type=Path)
    parser.add_argument("--thin", type=float, default=0.625, help="mm of a slice")
    parser.add_argument("--copies", type=int, default=COPIES)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        os.environ["SCANLEARN_HOME"] = str(root / "home")
        thin = thin_series(options.series, root / "thin", options.thin)
        made = {
            (series, store, crop): root / f"{series.name}_{store}_{crop}"
            for series in (options.series, thin)
            for store in STORES
            for crop in ("none", "lungs")
        }
        found: Settings = {
            "how": "processor time of one core, files in the page cache",
            "machine": platform.processor() or platform.machine(),
            "torch": torch.__version__,
            "series": f"{options.series.name}, and cut into {options.thin:g} mm",
            "prepared": [
                prepared(series, cohort, store=store, crop=crop)
                for (series, store, crop), cohort in made.items()
            ],
        }
        stored = {s: made[options.series, s, "lungs"] for s in STORES}
        few = {s: multiplied(stored[s], root / f"few_{s}", PATIENTS) for s in STORES}
        many = multiplied(stored["npy"], root / "many", options.copies)
        found["opened"] = opened(few["npy"], many)
        found["reads"] = {s: reads(few[s]) for s in STORES}
        found["images"] = images(few["npy"])
        four = multiplied(stored["npy"], root / "four", 4)
        found["steps"] = steps(few["npy"], four, root)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
