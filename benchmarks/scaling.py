"""What large cohorts cost: tables of the page *Scaling*, from the costs of one scan.

The costs are those of ``unit_costs.py``, ``results/unit_costs.json`` where no other
file is named; nothing is measured here. Without a file the page is written anew; with
one the tables are printed, for your own scans and machine.

Example: python benchmarks/scaling.py costs.json --cores 64 --network 25
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pages import write_between

COSTS = Path(__file__).parent / "results" / "unit_costs.json"
PAGE = Path(__file__).parents[1] / "docs" / "scaling.md"

#: The DrasCLR cohort, and sixteen of it.
COHORTS = (10_000, 160_000)
HEADS = [f"{n:,} CTs" for n in COHORTS]

LANDMARKS, VOXEL_BYTES = 581, 2
CHUNK, BLOCK, PAGE_BYTES = 64, 16, 4096
#: Of the joint method: slices that are images, a feature and its two views, tokens.
IMAGES, VIEWS, FEATURE, TOKEN, FLOAT_BYTES = 64, 2, 128, 640, 4

Costs = dict[str, Any]
Row = Sequence[object]


@dataclass(frozen=True)
class Machine:
    """What is assumed, not measured: cores, disk (GB/s) and network (Gbit/s)."""

    cores: int = 16
    disk: float = 3.0
    network: float = 10.0


@dataclass(frozen=True)
class Preset:
    """A DrasCLR preset as a reader of boxes: side in stored voxels, boxes a step."""

    name: str
    landmarks: int
    batch: int
    side: int
    boxes: int
    steps: int


PRESETS = (
    Preset("drasclr quick", 64, 64, 48, 64, 2_000),
    Preset("drasclr standard", LANDMARKS, 32, 56, 96, 60_000),
    Preset("drasclr paper", LANDMARKS, 128, 32, 384, 825_000),
)


def table(head: Row, rows: Iterable[Row]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)


def figure(number: float) -> str:
    """Write two digits of a number, or all before the point."""
    if number >= 10:
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 1 else f"{number:.2g}"


def amount(size: float) -> str:
    """Write bytes in thousands: kB, MB, GB, TB."""
    unit = "kB"
    size /= 1000
    for larger in ("MB", "GB", "TB"):
        if size >= 1000:
            unit, size = larger, size / 1000
    return f"{figure(size)} {unit}"


def span(seconds: float) -> str:
    """Write a time in a unit that suits it."""
    units = {"years": 365 * 86400, "days": 86400, "hours": 3600, "min": 60}
    for unit, length in units.items():
        if seconds >= 2 * length:
            return f"{figure(seconds / length)} {unit}"
    return f"{figure(seconds)} s" if seconds >= 1 else f"{figure(seconds * 1e3)} ms"


def one(costs: Costs, *, thin: bool, store: str = "npy", crop: str = "none") -> Costs:
    """Return what preparing one scan left, of the thick or the thin series."""
    alike = [p for p in costs["prepared"] if (p["store"], p["crop"]) == (store, crop)]
    by_slices = sorted(alike, key=lambda p: int(p["source_slices"]))
    found: Costs = by_slices[-1 if thin else 0]
    return found


def step_seconds(costs: Costs, preset: str) -> float:
    (found,) = [s["cpu_seconds"] for s in costs["steps"] if s["preset"] == preset]
    return float(found)


def joint_costs(costs: Costs) -> tuple[float, float, float, float]:
    """Return seconds of an image, of a volume, of all crops, and of the rest."""
    four, eight, dense, both = (
        float(s["cpu_seconds"])
        for s in costs["steps"]
        if s["preset"] == "joint standard"
    )
    image = (eight - four) / 4
    return image, (both - four) / 2, dense - four, max(0.0, four - 4 * image)


def storage(costs: Costs, machine: Machine) -> str:
    def row(name: str, size: float) -> Row:
        return [name, amount(size), *(amount(size * n) for n in COHORTS)]

    thick, thin = one(costs, thin=False), one(costs, thin=True)
    rows = [
        row(f"DICOM, {p['source_slices']} slices", p["source_bytes"])
        for p in (thick, thin)
    ]
    for store in ("npy", "blosc2"):
        for crop in ("none", "lungs"):
            made = one(costs, thin=True, store=store, crop=crop)
            size = made["voxel_file_bytes"] + made["bytes_beside"]
            rows.append(row(f"cohort, {store}, `--crop {crop}`", size))
    rows.append(row("of which beside the voxels", thin["bytes_beside"]))
    return table(["", "one CT", *HEADS], rows)


def preparation(costs: Costs, machine: Machine) -> str:
    rows = []
    for thin in (False, True):
        made = one(costs, thin=thin)
        seconds, size = made["cpu_seconds"], made["source_bytes"]
        name = f"{made['source_slices']} slices, {machine.cores} cores"
        spans = [span(seconds * n / machine.cores) for n in COHORTS]
        rows.append([name, f"{figure(seconds)} s of a core", *spans])
        carried = [span(size * n * 8 / machine.network / 1e9) for n in COHORTS]
        wire = f"its files over {machine.network:g} Gbit/s"
        rows.append([wire, amount(size), *carried])
    return table(["", "one CT", *HEADS], rows)


def beginning(costs: Costs, machine: Machine) -> str:
    opened, image = costs["opened"], costs["images"]["list_bytes_an_image"]
    timed = {
        "opening the cohort": opened["open_ms_a_scan"],
        "where the atlas lies, the first training": opened["first_place_ms_a_scan"],
        "the same, every later one": opened["place_ms_a_scan"],
    }
    rows: list[Row] = [
        [name, f"{figure(ms)} ms", *(span(ms * n / 1e3) for n in COHORTS)]
        for name, ms in timed.items()
    ]
    held = {
        "joint: list of images": image * IMAGES,
        "joint: banks of DeepCluster": IMAGES * VIEWS * FEATURE * FLOAT_BYTES,
        "joint: kept tokens": IMAGES * TOKEN * FLOAT_BYTES,
    }
    rows += [
        [name, amount(size), *(amount(size * n) for n in COHORTS)]
        for name, size in held.items()
    ]
    return table(["", "one CT", *HEADS], rows)


def training(costs: Costs, machine: Machine) -> str:
    rows: list[Row] = []
    for preset in PRESETS:
        seconds = step_seconds(costs, preset.name)
        a_pass = [preset.landmarks * n / preset.batch for n in COHORTS]
        rows.append(_training(preset.name, seconds, preset.steps, a_pass))
    image, volume, crops, rest = joint_costs(costs)
    images = 128 * image + crops + rest
    a_pass = [IMAGES * n / 128 for n in COHORTS]
    rows.append(_training("joint standard, images", images, 40_000, a_pass))
    both = images + 8 * volume
    rows.append(_training("joint standard, images and volumes", both, 40_000, a_pass))
    passes = [f"steps a pass, {head}" for head in HEADS]
    one_core = ["steps of the preset", "these on one core", *HEADS]
    return table(["", "a step, one core", *passes, *one_core], rows)


def _training(name: str, seconds: float, steps: int, a_pass: Sequence[float]) -> Row:
    seen = [f"{figure(steps / each)} passes" for each in a_pass]
    long = [f"{each:,.0f}" for each in a_pass]
    return [name, span(seconds), *long, f"{steps:,}", span(steps * seconds), *seen]


def reading(costs: Costs, machine: Machine) -> str:
    rows = []
    for preset in PRESETS:
        reads = {s: costs["reads"][s][str(preset.side)] for s in ("npy", "blosc2")}
        used = preset.side**3 * VOXEL_BYTES * preset.boxes
        taken = [span(r["ms_a_read"] * preset.boxes / 1e3) for r in reads.values()]
        pages = reads["npy"]["npy_pages"] * PAGE_BYTES * preset.boxes
        blocks = touched(costs, preset, BLOCK)
        rates = [figure(machine.disk * 1e9 / size) for size in (pages, blocks)]
        boxes = f"{preset.boxes} of {preset.side}³"
        moved = [amount(size) for size in (used, pages, blocks)]
        rows.append([preset.name, boxes, *taken, *moved, *rates])
    fed = [f"steps a second at {machine.disk:g} GB/s, {s}" for s in ("npy", "blosc2")]
    head = ["", "boxes a step", "one core, npy", "one core, blosc2", "used"]
    return table([*head, "pages, npy", "blocks, blosc2", *fed], rows)


def pages(shape: tuple[int, int, int], start: NDArray[np.int_], side: int) -> int:
    """Count the pages that hold a box of a 16-bit array."""
    low, high = np.clip(start, 0, shape), np.clip(start + side, 0, shape)
    found: set[int] = set()
    for z in range(low[0], high[0]):
        for y in range(low[1], high[1]):
            row = (z * shape[1] + y) * shape[2]
            ends = np.array([row + low[2], row + high[2] - 1]) * VOXEL_BYTES
            first, last = (ends // PAGE_BYTES).tolist()
            found.update(range(first, last + 1))
    return len(found)


def touched(costs: Costs, preset: Preset, side: int) -> float:
    """Return the stored bytes of all cubes of a side that a step's boxes touch."""
    cubes = ((preset.side + side - 1) / side) ** 3
    density = one(costs, thin=True, store="blosc2", crop="lungs")["bytes_a_voxel"]
    return float(cubes * side**3 * density * preset.boxes)


def network(costs: Costs, machine: Machine) -> str:
    bytes_a_second = machine.network * 1e9 / 8
    made = one(costs, thin=True, store="blosc2", crop="lungs")
    size = made["voxel_file_bytes"] + made["bytes_beside"]
    rows: list[Row] = [
        [
            "the whole cohort, once a machine",
            amount(size),
            *(span(size * n / bytes_a_second) for n in COHORTS),
            "",
        ]
    ]
    for preset in PRESETS:
        chunks = touched(costs, preset, CHUNK)
        equal = [f"after {figure(size * n / chunks)} steps" for n in COHORTS]
        rate = f"{figure(bytes_a_second / chunks)} steps a second"
        rows.append([f"chunks of {preset.name}", amount(chunks), *equal, rate])
    return table(["", "one CT, or one step", *HEADS, "at most"], rows)


TABLES = {
    "storage": storage,
    "preparation": preparation,
    "beginning": beginning,
    "training": training,
    "reading": reading,
    "network": network,
}


def tables(costs: Costs, machine: Machine) -> dict[str, str]:
    """Return every table of the page by the name between its marks."""
    return {name: make(costs, machine) for name, make in TABLES.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("costs", type=Path, nargs="?")
    parser.add_argument("--cores", type=int, default=Machine.cores)
    parser.add_argument("--disk", type=float, default=Machine.disk, help="GB/s")
    parser.add_argument("--network", type=float, default=Machine.network, help="Gbit/s")
    options = parser.parse_args()
    machine = Machine(options.cores, options.disk, options.network)
    costs = json.loads((options.costs or COSTS).read_text("utf-8"))
    for name, text in tables(costs, machine).items():
        if options.costs is None and machine == Machine():
            write_between(PAGE, name, text)
        else:
            print(f"{name}\n\n{text}")


if __name__ == "__main__":
    main()
