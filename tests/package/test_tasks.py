"""Tasks and methods: every one has all its parts, and is found by its name."""

from __future__ import annotations

import ast
import inspect
import re
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import get_type_hints

import pytest

import scanlearn
from scanlearn.config.run import parse_run_config
from scanlearn.errors import BadConfig, BadRun
from scanlearn.gui.tasks.dock_task import DockTask
from scanlearn.gui.tasks.plain import PlainDock
from scanlearn.gui.tasks.registry import dock_task
from scanlearn.pretraining.method import Method
from scanlearn.pretraining.registry import all_methods, method_named, method_of
from scanlearn.tasks.registry import all_tasks, task_named, task_of
from scanlearn.tasks.task import Labels, Task

SOURCE = Path(scanlearn.__file__).parent


def called(function) -> object:
    """Return what a method that opens its file on demand would call."""
    source = inspect.getsource(function)
    found = re.search(r"from (scanlearn\.[\w.]+) import (\w+)", source)
    assert found is not None, source
    namespace: dict[str, object] = {}
    exec(found[0], namespace)
    return namespace[found[2]]


@pytest.mark.parametrize("name", all_tasks())
def test_every_part_of_a_task_is_there(name) -> None:
    task = task_named(name)
    parts = ["labels", "learn", "card", "predict", "score"]
    for part in parts + ["doubt"] * task.doubts:
        assert getattr(type(task), part) is not getattr(Task, part)
        assert callable(called(getattr(task, part)))
    assert task.offer.name == name == task.offer.config().name
    assert "quick" in task.offer.presets


@pytest.mark.parametrize("name", all_tasks())
def test_every_task_has_a_part_in_the_docks(name) -> None:
    part = dock_task(name)
    assert not isinstance(part, PlainDock)
    for method in ("panel", "result"):
        assert getattr(type(part), method) is not getattr(DockTask, method)
        assert callable(called(getattr(part, method)))


@pytest.mark.parametrize("name", all_methods())
def test_every_part_of_a_method_is_there(name) -> None:
    method = method_named(name)
    assert type(method).check is not Method.check
    assert callable(called(method.learn))
    assert method.offer.name == name == method.offer.config().name
    assert "quick" in method.offer.presets


@pytest.mark.parametrize("name", all_tasks())
def test_labels_of_every_task_can_be_shared_out_by_patient(name) -> None:
    labels = get_type_hints(called(task_named(name).labels))["return"]
    wanted = {m for m in vars(Labels) if not m.startswith("_")}
    assert wanted == {"remarks", "patient_keys", "teaching_keys", "of", "save"}
    assert is_dataclass(labels)
    instance_fields = {f.name for f in fields(labels)}
    assert all(hasattr(labels, m) or m in instance_fields for m in wanted)


def test_a_configuration_leads_to_its_task_or_method() -> None:
    config = {"cohorts": ["c"], "kind": "finetune", "recipe": {"name": "segmentation"}}
    finetuning = parse_run_config(config)
    assert task_of(finetuning) is task_named("segmentation")
    with pytest.raises(BadConfig, match="no task 'divination'"):
        task_named("divination")
    pretraining = SimpleNamespace(recipe=SimpleNamespace(name="drasclr"))
    assert method_of(pretraining) is method_named("drasclr")
    with pytest.raises(BadRun, match="pre-training"):
        task_of(pretraining)
    with pytest.raises(BadRun, match="no pre-training"):
        method_of(finetuning)
    with pytest.raises(BadConfig, match="no pre-training method 'divination'"):
        method_named("divination")


def test_an_unknown_recipe_in_a_file_is_told() -> None:
    config = {"cohorts": ["c"], "kind": "finetune", "recipe": {"name": "divination"}}
    with pytest.raises(BadConfig, match=r"'divination'.*Install the package"):
        parse_run_config(config)


def test_no_module_is_opened_by_a_string() -> None:
    """Go to definition leads from a dock to its overlay; ``plugins.py`` alone loads."""
    by_name = {"resolve_name", "import_module", "__import__", "load_module"}
    found = [
        f"{file.relative_to(SOURCE)}:{node.lineno}"
        for file in SOURCE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if (isinstance(node, ast.Attribute) and node.attr in by_name)
        or (isinstance(node, ast.Name) and node.id in by_name)
    ]
    assert found == []
    loading = [
        str(file.relative_to(SOURCE))
        for file in SOURCE.rglob("*.py")
        if "entry_points" in file.read_text("utf-8")
    ]
    assert loading == ["plugins.py"]
