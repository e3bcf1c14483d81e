from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from qtpy.QtCore import Qt

from scanlearn.config.palette import class_colour
from scanlearn.gui.train.finetune_dock import FinetuneDock
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import grid_of
from scanlearn.runs.events import Saved
from scanlearn.runs.folder import EventLog, find_runs
from scanlearn.scans.find import find_scans
from scanlearn.tasks.registry import task_named

pytestmark = pytest.mark.viewer


@pytest.fixture
def dock(open_dock: Any, prepared: Path, small_launch: Any) -> FinetuneDock:
    dock = open_dock(FinetuneDock)
    dock.cohorts.open(prepared)
    return dock


@pytest.fixture
def image(dock: FinetuneDock, scans_folder: Path) -> Any:
    data, settings, _ = read_entry(find_scans(scans_folder)[0])
    return dock.viewer.add_image(data, **settings)


def test_a_new_label_layer_lies_on_the_scan(
    dock: FinetuneDock, image: Any, click: Any, qtbot: Any
) -> None:
    assert "paint" in dock.panel.use_button.toolTip()
    assert "Add labels first" in dock.start_button.toolTip()
    dock.panel.classes.names[1].setText("lung")
    click(dock.panel.classes.add_button)
    click(dock.panel.new_button)
    layer = dock.viewer.layers[-1]
    assert grid_of(layer).matches(grid_of(image))
    assert layer.units == image.units
    assert layer.mode == "paint"
    painted = layer.get_color(1)
    wanted = bytes.fromhex(class_colour(1)[1:])
    assert np.allclose(painted[:3], np.array(list(wanted)) / 255, atol=1e-3)
    dock.panel.classes.names[2].setText("lesion")
    assert layer.features["class"].tolist() == ["", "lung", "lesion"]
    click(dock.panel.use_button)
    qtbot.waitUntil(dock.notice.isVisible, timeout=10_000)
    assert "Nothing is painted" in dock.notice.text.text()
    dock.viewer.layers.clear()
    assert dock.panel.new_button.toolTip() == "Add a scan to the viewer first"


def test_the_plan_is_said_before_start_and_follows_what_is_set(
    dock: FinetuneDock, qtbot: Any
) -> None:
    shown = dock.plan.decisions
    assert dock.form.preset == "planned"
    qtbot.waitUntil(lambda: "In three dimensions" in shown.text(), timeout=20_000)
    assert not shown.isHidden()
    assert "1,120 updates: about 5 minutes on a CPU" in shown.text()
    assert dock.form.value("engine.steps") == 1120
    assert dock.form.changes() == {}
    # More time, more updates; what the user set stays.
    dock.form.set_value("recipe.batch", 4)
    dock.form.set_value("engine.minutes", 10)
    qtbot.waitUntil(lambda: "2,250 updates" in shown.text(), timeout=20_000)
    assert dock.form.value("engine.steps") == 2250
    assert dock.form.value("recipe.batch") == 4
    assert dock.form.changes() == {"recipe": {"batch": 4}, "engine": {"minutes": 10}}
    # Scans without labels, asked for.
    dock.form.set_value("recipe.unlabelled", True)
    qtbot.waitUntil(lambda: "Twice 2,250" in shown.text(), timeout=20_000)
    dock.form.presets.setCurrentIndex(dock.form.presets.findData("quick"))
    qtbot.waitUntil(shown.isHidden, timeout=20_000)
    assert dock.form.value("engine.steps") == 300


def test_painted_slices_start_a_training(
    dock: FinetuneDock, image: Any, places: SimpleNamespace, click: Any, qtbot: Any
) -> None:
    dock.panel.classes.names[1].setText("lung")
    click(dock.panel.new_button)
    layer = dock.viewer.layers[-1]
    layer.data[[8, 15, 22]] = image.data[[8, 15, 22]] < -500
    click(dock.panel.use_button)
    qtbot.waitUntil(lambda: len(dock.panel.labels.sources) == 1, timeout=10_000)
    assert "3 of 31 axial slices" in dock.panel.labels.item(0).text()
    click(dock.panel.use_button)  # the same scan again replaces it
    qtbot.wait(300)
    listed = dock.panel.labels
    assert len(listed.sources) == 1
    listed.add(places.cohorts)  # a folder beside it would not be read
    assert "from layers or from cohorts" in dock.start_button.toolTip()
    listed.setCurrentRow(1)
    qtbot.keyClick(listed, Qt.Key.Key_Delete)

    click(dock.start_button)
    qtbot.waitUntil(lambda: dock.slot.card is not None, timeout=20_000)
    with qtbot.waitSignal(dock.slot.card.ended, timeout=20_000):
        pass
    (run,) = find_runs(places.runs)
    assert [(c.value, c.name) for c in run.config().recipe.classes] == [(1, "lung")]
    assert run.config().start_from is None
    assert run.config().preset == "planned"
    # One labelled patient: with the labels read, it is known that none is held out.
    assert run.config().recipe.validation == 0
    (mask,) = run.inputs.glob("*_labels.nii.gz")
    assert 1 in np.asarray(nib.load(mask).dataobj)
    assert json.loads((run.inputs / "classes.json").read_text())["scans"]


def test_a_folder_of_masks_starts_a_training(
    dock: FinetuneDock,
    scans_folder: Path,
    places: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    click: Any,
    qtbot: Any,
) -> None:
    masks = scans_folder.parent / "labels"
    kinds = sorted(path.name for path in masks.rglob("*lungs*"))
    assert kinds
    folder = next(path for path in masks.rglob("*lungs*"))
    chosen = folder if folder.is_dir() else folder.parent
    monkeypatch.setattr(
        "scanlearn.gui.tasks.segmentation.panel.QFileDialog.getExistingDirectory",
        lambda *_: str(chosen),
    )
    click(dock.panel.browse_button)
    click(dock.start_button)
    qtbot.waitUntil(
        lambda: dock.slot.card is not None or dock.notice.isVisible(), timeout=20_000
    )
    assert not dock.notice.isVisible(), dock.notice.text.text()
    (run,) = find_runs(places.runs)
    assert run.config().recipe.classes == ()


def test_labels_of_a_scan_outside_the_cohort_leave_no_run(
    dock: FinetuneDock,
    scans_folder: Path,
    tmp_path: Path,
    places: SimpleNamespace,
    click: Any,
    qtbot: Any,
) -> None:
    stranger = tmp_path / "stranger.nii.gz"
    stranger.write_bytes(next(scans_folder.rglob("*.nii.gz")).read_bytes())
    data, settings, _ = read_entry(find_scans(stranger)[0])
    dock.viewer.add_image(data, **settings)
    click(dock.panel.new_button)
    dock.viewer.layers[-1].data[5:9] = 1
    click(dock.panel.use_button)
    qtbot.waitUntil(lambda: len(dock.panel.labels.sources) == 1, timeout=10_000)
    click(dock.start_button)
    qtbot.waitUntil(dock.notice.isVisible, timeout=10_000)
    assert "stranger.nii.gz" in dock.notice.text.text()
    assert not list(find_runs(places.runs))


def test_a_finished_pre_training_is_the_start(
    dock: FinetuneDock, make_run: Any, qtbot: Any
) -> None:
    run = make_run("2026-11-21_drasclr_phantoms")
    log = EventLog(run)
    log.write(Saved(step=10, name="last"))
    log.close()
    dock.state.runs.refresh()
    qtbot.waitUntil(lambda: dock.starts.count() == 2, timeout=10_000)
    assert dock.starts.currentData() == run.path
    assert dock.starts.currentText() == "drasclr_phantoms"


def test_only_starts_that_fit_the_task_are_offered(
    dock: FinetuneDock, make_run: Any, qtbot: Any
) -> None:
    for name, architecture in (
        ("2026-11-21_patches", "location-encoder"),
        ("2026-11-22_slices", "slice-encoder"),
        ("2026-11-23_dense", "dense-encoder"),
    ):
        run = make_run(name)
        log = EventLog(run)
        log.write(Saved(step=10, name="last"))
        log.close()
        card = json.dumps({"architecture": architecture})
        (run.checkpoints / "encoder.json").write_text(card)
    dock.state.runs.refresh()
    qtbot.waitUntil(lambda: dock.starts.count() == 3, timeout=10_000)

    def offered(task: str) -> set[str]:
        dock.tasks.setCurrentIndex(dock.tasks.findData(task))
        names = [dock.starts.itemText(n) for n in range(dock.starts.count())]
        assert names.pop().startswith("from scratch")
        return set(names)

    assert offered("segmentation") == {"patches", "slices"}
    assert dock.misfits.text().startswith("Not offered: dense.")
    assert offered("detection") == {"patches"}
    assert offered("texture") == {"patches", "slices", "dense"}
    assert not dock.misfits.isVisible()
    assert offered("classification") == {"slices"}
    assert dock.starts.currentText() == "slices"
    assert "Not offered: dense, patches." in dock.misfits.text()
    assert "need an encoder of slices" in dock.misfits.text()


def test_what_a_pre_training_gave_is_said_where_the_start_is_chosen(
    dock: FinetuneDock,
) -> None:
    for number in range(dock.tasks.count()):
        dock.tasks.setCurrentIndex(number)
        worth = task_named(dock.task).worth
        assert dock.worth.text().startswith(worth)
        assert "Measured on" in worth
        assert dock.worth.text().endswith("tells for your scans.")


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_points_of_two_classes_start_a_texture_run(
    dock: FinetuneDock, image: Any, places: SimpleNamespace, click: Any, qtbot: Any
) -> None:
    dock.tasks.setCurrentIndex(dock.tasks.findData("texture"))
    assert "at least two classes" in dock.start_button.toolTip()
    click(dock.panel.points_button)
    layer = dock.viewer.layers[-1]
    assert layer.mode == "add"
    layer.add((10.0, 12.0, 14.0))
    layer.feature_defaults = {"value": 2}
    layer.add((11.0, 20.0, 30.0))
    assert "normal 1, centrilobular 1" in dock.panel.amount.text()
    click(dock.start_button)
    qtbot.waitUntil(
        lambda: dock.slot.card is not None or dock.notice.isVisible(), timeout=20_000
    )
    assert not dock.notice.isVisible(), dock.notice.text.text()
    (run,) = find_runs(places.runs)
    assert run.config().recipe.name == "texture"
    saved = json.loads((run.inputs / "places.json").read_text())["places"]
    index = [grid_of(image).to_index(np.array(one["point"])) for one in saved]
    assert np.allclose(index, [(10, 12, 14), (11, 20, 30)], atol=1e-3)
    assert [one["label"] for one in saved] == [1, 2]


def test_a_table_of_outcomes_starts_a_run(
    dock: FinetuneDock,
    scans_folder: Path,
    places: SimpleNamespace,
    click: Any,
    qtbot: Any,
) -> None:
    dock.tasks.setCurrentIndex(dock.tasks.findData("outcome"))
    assert "table of outcomes" in dock.start_button.toolTip()
    panel = dock.panel
    panel.open(scans_folder.parent / "outcomes.csv")
    panel.target.setCurrentIndex(panel.target.findData("fev1_percent"))
    panel.covariates.setText("age")
    assert "no column 'age'" in dock.start_button.toolTip()
    panel.covariates.setText("severity")
    click(dock.start_button)
    qtbot.waitUntil(
        lambda: dock.slot.card is not None or dock.notice.isVisible(), timeout=20_000
    )
    assert not dock.notice.isVisible(), dock.notice.text.text()
    (run,) = find_runs(places.runs)
    recipe = run.config().recipe
    assert (recipe.target, recipe.covariates) == ("fev1_percent", ("severity",))
    assert (run.inputs / "outcomes.json").exists()
