"""A task and a method of another package in the docks, which know nothing of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from pydantic import Field

from scanlearn.config.offer import Offer
from scanlearn.config.recipe import RecipeConfig
from scanlearn.gui.predict.dock import PredictDock
from scanlearn.gui.runs.dock import RunsDock
from scanlearn.gui.tasks.plain import FactsResult, PathPanel
from scanlearn.gui.tasks.registry import dock_task
from scanlearn.gui.train.finetune_dock import FinetuneDock
from scanlearn.gui.train.pretrain_dock import PretrainDock
from scanlearn.gui.train.settings_form import SettingsForm
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.runs.folder import find_runs
from scanlearn.scans.find import find_scans

pytestmark = pytest.mark.viewer


@pytest.fixture
def installed(example: Path, install: Callable[[Path], None]) -> None:
    """Install the example of docs/adding.md."""
    install(example)


def test_a_method_is_offered_and_started(
    installed: None,
    open_dock: Any,
    prepared: Path,
    places: SimpleNamespace,
    small_launch: Any,
    click: Any,
    qtbot: Any,
) -> None:
    dock = open_dock(PretrainDock)
    dock.cohorts.open(prepared)
    choices = {one.text(): one for one in dock.methods.buttons()}
    assert [*choices][-1] == "Patch mean"
    click(choices["Patch mean"])
    assert [*dock.form.fields] == ["engine.steps", "recipe.batch"]
    assert (dock.form.preset, dock.form.value("engine.steps")) == ("quick", 100)
    assert "100 steps" in dock.plan.numbers.text()
    assert not dock.locations.isVisible()
    dock.form.set_value("recipe.batch", 3)
    click(dock.start_button)
    qtbot.waitUntil(lambda: dock.slot.card is not None, timeout=20_000)
    (run,) = find_runs(places.runs)
    assert (run.config().recipe.name, run.config().recipe.batch) == ("patch-mean", 3)


def test_a_task_is_offered_and_started_from_a_table(
    installed: None,
    open_dock: Any,
    prepared: Path,
    scans_folder: Path,
    places: SimpleNamespace,
    small_launch: Any,
    monkeypatch: pytest.MonkeyPatch,
    click: Any,
    qtbot: Any,
) -> None:
    dock = open_dock(FinetuneDock)
    dock.cohorts.open(prepared)
    dock.tasks.setCurrentIndex(dock.tasks.findText("Mean density"))
    assert isinstance(dock.panel, PathPanel)
    assert dock.about.text().startswith("A number of each patient")
    assert dock.start_button.toolTip() == "Choose a table or folder of labels"
    table = scans_folder.parent / "outcomes.csv"
    monkeypatch.setattr(
        "scanlearn.gui.tasks.plain.QFileDialog.getOpenFileName",
        lambda *_: (str(table), ""),
    )
    dock.panel._browse_table()
    assert dock.panel.chosen.text() == "outcomes.csv"
    assert not dock.plan.isVisible()
    dock.form.set_value("recipe.target", "fev1_percent")
    click(dock.start_button)
    qtbot.waitUntil(
        lambda: dock.slot.card is not None or dock.notice.isVisible(), timeout=20_000
    )
    assert not dock.notice.isVisible(), dock.notice.text.text()
    (run,) = find_runs(places.runs)
    assert run.config().recipe.name == "mean-density"
    labels = json.loads((run.inputs / "outcomes.json").read_text())
    assert (labels["target"], len(labels["patients"])) == ("fev1_percent", 2)


def test_its_result_is_told(
    installed: None,
    open_dock: Any,
    make_finished: Any,
    scans_folder: Path,
    click: Any,
    qtbot: Any,
) -> None:
    run = make_finished("line", "finetune", recipe={"name": "mean-density"})
    (run.checkpoints / "model.json").write_text(json.dumps({"line": [0.0, 2.5]}))
    dock = open_dock(PredictDock)
    qtbot.waitUntil(lambda: dock.models.path == run.path, timeout=10_000)
    data, settings, _ = read_entry(find_scans(next(scans_folder.rglob("*.nii.gz")))[0])
    dock.viewer.add_image(data, **settings)
    assert not dock.views.isVisible()
    click(dock.predict_button)
    qtbot.waitUntil(
        lambda: dock.prediction is not None or dock.notice.isVisible(), timeout=90_000
    )
    assert not dock.notice.isVisible(), dock.notice.text.text()
    panel = dock.panels["mean-density"]
    assert isinstance(panel, FactsResult)
    assert panel.said.text() == "predicted: 2.5"
    assert len(dock.viewer.layers) == 1


def test_its_runs_are_listed_and_those_of_a_package_that_is_gone(
    installed: None, open_dock: Any, make_finished: Any, qtbot: Any
) -> None:
    make_finished("line", "finetune", recipe={"name": "mean-density"})
    gone = make_finished("gone", "finetune")
    text = (gone.path / "config.yaml").read_text().replace("segmentation", "vanished")
    (gone.path / "config.yaml").write_text(text)
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: dock.table.rowCount() == 2, timeout=10_000)
    cells = [[dock.table.item(n, c).text() for c in range(3)] for n in range(2)]
    assert ["line", "density", "finished"] in cells
    assert ["gone", "?", "unreadable"] in cells
    dock.show_run(gone.path)
    assert "'vanished'" in dock.notice.text.text()


def test_a_package_can_bring_a_part_of_its_own(
    install: Callable[[Path], None], tmp_path: Path
) -> None:
    project = tmp_path / "project"
    (project / "own_dock").mkdir(parents=True)
    (project / "own_dock" / "__init__.py").write_text(
        "from scanlearn.gui.tasks.plain import PlainDock\n"
        "class OwnDock(PlainDock):\n    pass\n"
    )
    (project / "pyproject.toml").write_text(
        '[project]\nname = "own-dock"\nversion = "1"\n'
        '[project.entry-points."scanlearn.docks"]\n'
        'mean-density = "own_dock:OwnDock"\n'
    )
    install(project)
    assert type(dock_task("mean-density")).__name__ == "OwnDock"
    assert type(dock_task("another")).__name__ == "PlainDock"


class _Every(RecipeConfig):
    """Settings of every kind that a dock can show."""

    name: str = "every-kind"
    whole: int | None = Field(default=None, ge=1)
    real: float | None = Field(default=None, gt=0)
    word: str = "a"
    word_or_none: str | None = None
    yes: bool = True
    choice: Literal["one", "two"] = "one"
    long_name: float = Field(default=0.5, ge=0, le=1)
    some: tuple[str, ...] = ()


def test_settings_of_every_kind_are_shown_and_read(qtbot: Any) -> None:
    form = SettingsForm()
    qtbot.addWidget(form)
    names = [name for name in _Every.model_fields if name != "name"]
    settings = tuple(f"recipe.{name}" for name in names)
    form.show_recipe(Offer("T", "about", "t", _Every, {"quick": {}}, settings))
    assert [*form.fields] == [*settings[:-1]]  # a tuple is left to -s
    assert form.changes() == {}
    form.set_value("recipe.whole", 1)
    form.set_value("recipe.choice", "two")
    form.set_value("recipe.word_or_none", "b")
    changes = {"whole": 1, "choice": "two", "word_or_none": "b"}
    assert form.changes() == {"recipe": changes}
    assert form.value("engine.steps") is None
