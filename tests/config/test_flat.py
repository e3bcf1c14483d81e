"""Settings as dotted names, and what two runs have otherwise."""

from __future__ import annotations

from scanlearn.config.flat import differences, flat_settings
from scanlearn.config.run import parse_run_config


def config(**recipe: object):
    facts = {"kind": "finetune", "cohorts": ["/a"]}
    return parse_run_config(facts | {"recipe": {"name": "segmentation", **recipe}})


def test_every_setting_has_its_dotted_name():
    found = flat_settings(config(classes=[{"value": 1, "name": "lung"}]))
    assert found["recipe.optimiser.name"] == "adamw"
    assert found["recipe.classes[0].name"] == "lung"
    assert found["engine.seed"] == 0


def test_only_what_differs_is_told():
    one = config(batch=2, classes=[{"value": 1, "name": "lung"}])
    other = config(batch=4, optimiser={"learning_rate": 0.1})
    assert differences(one, one) == {}
    assert differences(one, other) == {
        "recipe.classes[0].value": ("1", "–"),
        "recipe.classes[0].name": ("lung", "–"),
        "recipe.classes": ("–", "none"),
        "recipe.batch": ("2", "4"),
        "recipe.optimiser.learning_rate": (
            str(one.recipe.optimiser.learning_rate),
            "0.1",
        ),
    }
