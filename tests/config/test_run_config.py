from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scanlearn.config.engine import OptimiserConfig
from scanlearn.config.run import (
    merge,
    parse_run_config,
    parse_settings,
    to_yaml,
)
from scanlearn.config.segmentation import SegmentationConfig
from scanlearn.errors import BadConfig
from scanlearn.pretraining.registry import all_methods
from scanlearn.tasks.registry import all_tasks

OFFERS = {n: x.offer for n, x in (*all_methods().items(), *all_tasks().items())}


def _config(**changes):
    data = OFFERS["drasclr"].preset("quick", changes)
    return parse_run_config(merge(data, {"kind": "pretrain", "cohorts": ["c"]}))


@pytest.mark.parametrize(
    ("recipe", "name"), [(r, n) for r, offer in OFFERS.items() for n in offer.presets]
)
def test_every_preset_is_a_valid_configuration(recipe, name):
    kind = "pretrain" if recipe in all_methods() else "finetune"
    data = merge(OFFERS[recipe].preset(name, {}), {"kind": kind, "cohorts": ["c"]})
    config = parse_run_config(data)
    assert config.recipe.name == recipe
    assert config.preset == name


def test_the_paper_preset_holds_the_release_numbers():
    data = merge(
        OFFERS["drasclr"].preset("paper", {}), {"kind": "pretrain", "cohorts": ["c"]}
    )
    recipe = parse_run_config(data).recipe
    assert (recipe.batch, recipe.queue, recipe.temperature) == (128, 4096, 0.2)
    assert (recipe.momentum, recipe.encoder.experts, recipe.encoder.dim) == (
        0.999,
        8,
        128,
    )
    assert (recipe.optimiser.name, recipe.optimiser.learning_rate) == ("sgd", 0.01)
    assert recipe.views.gamma == (0.5, 4.5)
    assert not recipe.in_batch
    assert (recipe.neighbours, recipe.beta, recipe.neighbour_similarity) == (
        2,
        1.0,
        "sum",
    )


def test_a_segmentation_from_before_plans_means_what_it_meant():
    """Its file names none of what a plan sets: nothing is averaged, cleaned or cut."""
    old = SegmentationConfig()
    assert (old.dimensions, old.strength, old.rotate_degrees) == (None, "weak", None)
    assert (old.average, old.keep_largest, old.unlabelled) == (0.0, False, False)
    assert (old.mirror, old.width, old.batch, old.validation) == (False, 8, 16, 0.2)


def test_yaml_round_trip():
    config = _config()
    assert parse_run_config(yaml.safe_load(to_yaml(config))) == config


def test_an_unknown_key_is_named():
    with pytest.raises(BadConfig, match="temprature"):
        _config(recipe={"temprature": 0.1})


def test_an_impossible_value_is_named_with_what_was_found():
    with pytest.raises(BadConfig, match=r"recipe\.batch.*found 1"):
        _config(recipe={"batch": 1})


def test_no_negatives_at_all_is_refused():
    with pytest.raises(BadConfig, match="in_batch"):
        _config(recipe={"queue": 0, "in_batch": False})


def test_settings_find_their_section():
    assert parse_settings(["temperature=0.1"]) == {"recipe": {"temperature": 0.1}}
    assert parse_settings(["steps=5"]) == {"engine": {"steps": 5}}
    assert parse_settings(["engine.seed=3", "views.gamma=[1, 2]"]) == {
        "engine": {"seed": 3},
        "recipe": {"views": {"gamma": [1, 2]}},
    }


@pytest.mark.parametrize("text", ["steps", "=3", ""])
def test_a_setting_without_key_or_value_is_refused(text):
    with pytest.raises(BadConfig, match="key=value"):
        parse_settings([text])


def test_an_unknown_preset_lists_the_known():
    with pytest.raises(BadConfig, match="quick, bright, standard, paper"):
        OFFERS["drasclr"].preset("fast", {})


keys = st.sampled_from("abc")
trees = st.recursive(
    st.integers(), lambda t: st.dictionaries(keys, t, max_size=3), max_leaves=8
)


@given(st.dictionaries(keys, trees), st.dictionaries(keys, trees))
def test_merge_keeps_changes_and_loses_nothing_else(base, changes):
    merged = merge(base, changes)
    assert set(merged) == set(base) | set(changes)
    for key, value in merged.items():
        if key not in changes:
            assert value == base[key]
        elif isinstance(changes[key], dict) and isinstance(base.get(key), dict):
            assert value == merge(base[key], changes[key])
        else:
            assert value == changes[key]


def test_a_section_given_in_part_keeps_the_rest_of_its_default():
    recipe = SegmentationConfig(optimiser={"learning_rate": 0.5})
    default = SegmentationConfig().optimiser
    assert recipe.optimiser == default.model_copy(update={"learning_rate": 0.5})
    assert default.warmup > OptimiserConfig().warmup
