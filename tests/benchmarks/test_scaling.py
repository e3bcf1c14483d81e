"""The page on large cohorts is what the script makes of the costs; counts by hand."""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest

import scaling
from scanlearn.config.drasclr import DrasclrConfig
from scanlearn.config.run import parse_run_config
from scanlearn.pretraining.drasclr.sizes import patch_sides
from scanlearn.pretraining.registry import method_named


@pytest.fixture(scope="module")
def costs():
    return json.loads(scaling.COSTS.read_text("utf-8"))


@pytest.mark.parametrize("name", scaling.TABLES)
def test_the_page_has_the_tables_of_the_script(costs, name) -> None:
    made = scaling.tables(costs, scaling.Machine())[name]
    page = scaling.PAGE.read_text("utf-8")
    assert f"<!-- {name}: begin -->\n{made}<!-- {name}: end -->\n" in page


@pytest.mark.parametrize("preset", scaling.PRESETS, ids=lambda preset: preset.name)
def test_presets_are_those_of_the_program(preset) -> None:
    method = method_named("drasclr")
    settings = method.offer.preset(preset.name.split()[1], {})
    config = parse_run_config({**settings, "kind": "pretrain", "cohorts": ["cohort"]})
    recipe = config.section(DrasclrConfig)
    _, side = patch_sides(recipe, recipe.spacing_mm)
    assert preset.side == side * recipe.spacing_mm
    assert preset.batch == recipe.batch
    assert preset.boxes == recipe.batch * (1 + recipe.neighbours)
    assert preset.steps == config.engine.steps
    assert preset.landmarks == (recipe.landmarks.at_most or scaling.LANDMARKS)


def test_twice_the_cores_take_half_the_time(costs) -> None:
    one, two = (
        scaling.preparation(costs, scaling.Machine(cores=n)).splitlines()[2]
        for n in (1, 1000)
    )
    made = scaling.one(costs, thin=False)["cpu_seconds"]
    assert scaling.span(made * 10_000) in one
    assert scaling.span(made * 10) in two


def test_cubes_are_counted_as_by_trying_every_place(costs) -> None:
    preset = scaling.Preset("small", 1, 1, 5, 1, 1)
    counts = [
        np.prod([(start + 4) // 4 - start // 4 + 1 for start in place])
        for place in product(range(4), repeat=3)
    ]
    density = scaling.one(costs, thin=True, store="blosc2", crop="lungs")
    expected = np.mean(counts) * 4**3 * density["bytes_a_voxel"]
    assert scaling.touched(costs, preset, 4) == pytest.approx(expected)


@pytest.mark.parametrize("start", [(0, 0, 0), (3, 20, 40), (-2, 50, 70), (7, 59, 0)])
def test_pages_are_those_of_every_voxel(start) -> None:
    shape, side = (10, 60, 90), 8
    index = np.arange(np.prod(shape)).reshape(shape)
    box = index[tuple(slice(max(s, 0), s + side) for s in start)]
    expected = len(np.unique(box * 2 // 4096))
    assert scaling.pages(shape, np.array(start), side) == expected


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0123, "12 ms"), (1.25, "1.2 s"), (119, "119 s"), (7200, "2.0 hours")],
)
def test_times_are_written_in_a_unit_that_suits(seconds, text) -> None:
    assert scaling.span(seconds) == text


def test_amounts_are_written_in_thousands() -> None:
    sizes = (1_400, 86_054_528, 860e9, 13.8e12)
    assert [*map(scaling.amount, sizes)] == ["1.4 kB", "86 MB", "860 GB", "14 TB"]
