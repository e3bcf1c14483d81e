"""The manifest of tasks: every part is there, every room knows the task."""

from __future__ import annotations

from dataclasses import fields
from types import SimpleNamespace
from typing import get_type_hints

import pytest

from scanlearn.config.presets import PRESETS
from scanlearn.config.run import parse_run_config
from scanlearn.errors import BadConfig, BadRun
from scanlearn.new_run import Labels
from scanlearn.tasks.registry import TASKS, known_task, task_of

PARTS = ("labels", "recipe", "predict", "evaluate", "panel", "overlay", "result")


@pytest.mark.parametrize("name", TASKS)
def test_every_part_of_a_task_is_where_it_says(name):
    task = TASKS[name]
    values = {f.name: str(getattr(task, f.name)) for f in fields(task)}
    named = {name for name, value in values.items() if value.startswith("scanlearn.")}
    assert named - {"doubt"} == set(PARTS)
    assert all(callable(task.part(part)) for part in named)
    assert task.config().name == name
    assert "quick" in PRESETS[name]


@pytest.mark.parametrize("name", TASKS)
def test_labels_of_every_task_can_be_shared_out_by_patient(name):
    labels = get_type_hints(TASKS[name].part("labels"))["return"]
    wanted = {m for m in vars(Labels) if not m.startswith("_")}
    assert wanted == {"remarks", "patient_keys", "of", "save"}
    instance_fields = {f.name for f in fields(labels)}
    assert all(hasattr(labels, m) or m in instance_fields for m in wanted)


def test_a_configuration_leads_to_its_task():
    config = {"cohorts": ["c"], "kind": "finetune", "recipe": {"name": "segmentation"}}
    assert task_of(parse_run_config(config)) is TASKS["segmentation"]
    assert known_task("segmentation") == "segmentation"
    with pytest.raises(BadConfig, match="no task 'divination'"):
        known_task("divination")
    pretraining = SimpleNamespace(recipe=SimpleNamespace(name="drasclr"))
    with pytest.raises(BadRun, match="pre-training"):
        task_of(pretraining)
