from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from qtpy.QtCore import Qt

from scanlearn.cohort.atlas.atlas_quality import default_atlas
from scanlearn.config.run import parse_settings
from scanlearn.errors import BadConfig
from scanlearn.gui.shared.state import shared_state
from scanlearn.gui.train.pretrain_dock import PretrainDock
from scanlearn.gui.train.settings_form import SettingsForm
from scanlearn.pretraining.registry import all_methods, method_named
from scanlearn.runs.folder import RunFolder, find_runs

pytestmark = pytest.mark.viewer


@pytest.fixture
def dock(open_dock: Any) -> PretrainDock:
    return open_dock(PretrainDock)


@pytest.fixture
def ready(dock: PretrainDock, prepared: Path, small_launch: Any) -> PretrainDock:
    dock.cohorts.open(prepared)
    return dock


def test_without_a_cohort_start_says_what_is_missing(
    dock: PretrainDock, tmp_path: Path
) -> None:
    assert not dock.start_button.isEnabled()
    assert "Prepare a cohort" in dock.start_button.toolTip()
    assert not dock.plan.isVisible()
    dock.cohorts.open(tmp_path)
    assert "is no cohort" in dock.notice.text.text()


def test_a_cohort_that_is_there_already_is_planned_at_once(
    open_dock: Any, prepared: Path
) -> None:
    shared_state().choose_cohort(prepared)
    dock = open_dock(PretrainDock)
    assert dock.start_button.isEnabled()
    assert "2 scans" in dock.plan.numbers.text()


def test_presets_fill_the_settings(qtbot: Any) -> None:
    form = SettingsForm()
    qtbot.addWidget(form)
    offer = method_named("drasclr").offer
    form.show_recipe(offer)
    quick = offer.presets["quick"]["engine"]["steps"]
    assert form.value("engine.steps") == quick
    assert form.changes() == {}
    form.presets.setCurrentIndex(form.presets.findData("standard"))
    assert form.value("engine.steps") == 60_000
    assert form.value("engine.minutes") is None
    form.fields["engine.minutes"].value = 5.0
    form.fields["recipe.batch"].value = 8
    assert form.changes() == {"engine": {"minutes": 5.0}, "recipe": {"batch": 8}}
    form.fields["recipe.landmarks.atlas"].value = "central"
    assert form.changes()["recipe"] == {"batch": 8, "landmarks": {"atlas": "central"}}
    preset, name, *settings = form.arguments()
    assert (preset, name) == ("--preset", "standard")
    assert parse_settings(settings[1::2]) == form.changes()


def test_locations_can_be_seen_before_a_training_begins(
    dock: PretrainDock, tiny_cohort: Path, tmp_path: Path, qtbot: Any
) -> None:
    assert "Prepare a cohort" in dock.locations.show_button.toolTip()
    folder = Path(shutil.copytree(tiny_cohort, tmp_path / "cohort"))
    for kept in (folder / "placements").iterdir():
        if kept.name != default_atlas().shape_hash:
            shutil.rmtree(kept)  # other tests tried other atlases
    bad = sorted(folder.glob("placements/*/*.json"))[0]
    content = json.loads(bad.read_text())
    content["fit"] |= {"usable": False, "problems": ["a test"]}
    bad.write_text(json.dumps(content))
    dock.form.set_value("recipe.spacing_mm", None)
    dock.cohorts.open(folder)
    qtbot.waitUntil(lambda: dock.fits.text() != "", timeout=20_000)
    assert "The default atlas of the lungs fits 3 of 4 scans" in dock.fits.text()
    assert f"left out: {bad.stem[:6]}" in dock.fits.text()
    assert "Add a scan" in dock.locations.show_button.toolTip()
    dock.form.fields["recipe.landmarks.atlas"].value = "central"
    named, *settings = dock.locations._atlas
    assert named == str(folder)
    assert settings[-2:] == ["-s", "recipe.landmarks.atlas=central"]


def test_training_is_started_watched_and_finished(
    ready: PretrainDock, places: SimpleNamespace, click: Any, qtbot: Any
) -> None:
    assert "2 scans" in ready.plan.numbers.text()
    engine = method_named("drasclr").offer.presets["quick"]["engine"]
    dose = f"{engine['passes']:g} passes, at most {engine['steps']:,} steps"
    assert dose in ready.plan.numbers.text()
    ready.form.fields["engine.steps"].value = 25
    assert ready.plan.numbers.text().endswith("\n25 steps")  # no passes any more
    click(ready.start_button)
    card = started(ready, qtbot)
    assert not ready.start_button.isEnabled()
    with qtbot.waitSignal(card.ended, timeout=20_000):
        pass
    (run,) = find_runs(places.runs)
    assert run.config().engine.steps == 25
    assert run.config().recipe.batch == 64  # of the preset
    assert card.curve.shown == ("loss", "dice")
    assert card.light.light == "green"
    assert card.sentence.text() == "It learns."
    assert card.progress.text() == "Finished: 30 steps · best dice 0.50"
    assert ready.start_button.isEnabled()


def test_one_training_can_learn_from_several_cohorts(
    ready: PretrainDock,
    prepared: Path,
    tmp_path: Path,
    places: SimpleNamespace,
    click: Any,
    qtbot: Any,
) -> None:
    assert not ready.more.isVisible()  # there is no other
    other = Path(shutil.copytree(prepared, tmp_path / "other hospital"))
    ready.cohorts.open(other)
    assert ready.more.isVisible()
    assert "2 scans" in ready.plan.numbers.text()
    (item,) = ready.more._items()
    assert item.text() == f"{prepared.name} · 2 scans"
    item.setCheckState(Qt.CheckState.Checked)
    assert "4 scans" in ready.plan.numbers.text()
    ready.state.cohorts_changed.emit()  # another dock prepared something
    assert ready.more.chosen == (prepared,)
    click(ready.methods.buttons()[1])
    click(ready.start_button)
    with qtbot.waitSignal(started(ready, qtbot).ended, timeout=20_000):
        pass
    (run,) = find_runs(places.runs)
    assert run.config().cohorts == (other, prepared)


def test_the_joint_method_is_chosen_with_its_clustering(
    ready: PretrainDock, places: SimpleNamespace, click: Any, qtbot: Any
) -> None:
    about = [method.offer.about for method in all_methods().values()]
    assert all(text.startswith("choose for") for text in about)
    ready.form.set_value("recipe.spacing_mm", 3.0)
    qtbot.waitUntil(lambda: not ready.start_button.isEnabled(), timeout=10_000)
    click(ready.methods.buttons()[1])
    assert ready.method == "joint"
    assert ready.start_button.isEnabled()  # slices need no voxel size
    assert not ready.notice.isVisible()
    assert "recipe.spacing_mm" not in ready.form.fields
    assert ready.form.value("engine.steps") == 1200
    ready.form.fields["recipe.clustering"].value = "swav"
    click(ready.start_button)
    with qtbot.waitSignal(started(ready, qtbot).ended, timeout=20_000):
        pass
    (run,) = find_runs(places.runs)
    assert run.config().recipe.name == "joint"
    assert run.config().recipe.clustering == "swav"


def test_stop_and_keep_leaves_a_model(
    ready: PretrainDock, monkeypatch: pytest.MonkeyPatch, click: Any, qtbot: Any
) -> None:
    monkeypatch.setenv("SMALL_WORKER_STEPS", "100000")
    click(ready.start_button)
    card = started(ready, qtbot)
    qtbot.waitUntil(lambda: card.story.step > 5, timeout=20_000)
    stalls = stalls_while(qtbot, 1.0)
    assert max(stalls) < 0.1
    click(card.stop_button)
    with qtbot.waitSignal(card.ended, timeout=20_000):
        pass
    assert "model kept" in card.progress.text()
    assert (card.run.checkpoints / "last" / "model.txt").exists()
    assert card.run.state() == "stopped"


def test_detached_training_goes_on_and_can_be_killed(
    ready: PretrainDock, monkeypatch: pytest.MonkeyPatch, click: Any, qtbot: Any
) -> None:
    monkeypatch.setenv("SMALL_WORKER_STEPS", "100000")
    click(ready.start_button)
    card = started(ready, qtbot)
    run = RunFolder(card.run.path)
    qtbot.waitUntil(lambda: card.story.step > 0, timeout=20_000)
    click(card.detach_button)
    assert ready.slot.card is None
    assert run.is_alive()
    ready.slot.show_run(run)
    again = ready.slot.card
    assert again is not None
    again.kill_action.trigger()
    with qtbot.waitSignal(again.ended, timeout=20_000):
        pass
    assert not run.is_alive()
    # The small worker saves at its end only.
    assert again.notice.text.text() == (
        "Killed. Nothing was saved before: Resume, under Runs, begins again."
    )
    assert again.light.light != "red"


def test_how_long_it_takes_is_measured_before_and_known_after(
    ready: PretrainDock, places: SimpleNamespace, click: Any, qtbot: Any
) -> None:
    pace = ready.plan.pace
    assert pace.text.text() == "How long it takes here is not known yet."
    click(pace.measure_button)
    assert pace.cancel_button.isVisible()
    qtbot.waitUntil(lambda: "about" in pace.text.text(), timeout=30_000)
    assert "s a step" in pace.text.text()
    assert not pace.measure_button.isVisible()
    assert not list(find_runs(places.runs))  # a trial leaves nothing behind
    ready.form.fields["recipe.batch"].value = 8
    qtbot.waitUntil(pace.measure_button.isVisible, timeout=10_000)
    click(ready.start_button)
    with qtbot.waitSignal(started(ready, qtbot).ended, timeout=20_000):
        pass
    qtbot.waitUntil(lambda: "about" in pace.text.text(), timeout=20_000)


def test_measuring_can_be_cancelled(
    ready: PretrainDock, monkeypatch: pytest.MonkeyPatch, click: Any, qtbot: Any
) -> None:
    monkeypatch.setenv("SMALL_WORKER_STEPS", "100000")
    pace = ready.plan.pace
    click(pace.measure_button)
    qtbot.waitUntil(lambda: pace.trial is not None, timeout=20_000)
    trial = pace.trial
    assert trial is not None
    click(pace.cancel_button)
    assert not trial.path.exists()
    assert pace.measure_button.isVisible()


def test_a_crash_is_told_without_a_traceback(
    ready: PretrainDock, monkeypatch: pytest.MonkeyPatch, click: Any, qtbot: Any
) -> None:
    monkeypatch.setenv("SMALL_WORKER_CRASHES", "1")
    click(ready.start_button)
    card = started(ready, qtbot)
    with qtbot.waitSignal(card.ended, timeout=20_000):
        pass
    assert "Memory ran out" in card.notice.text.text()
    assert "a long report" not in card.notice.text.text()
    assert card.light.light == "red"


def test_a_voxel_size_the_cohort_does_not_have_is_told_before_start(
    ready: PretrainDock, click: Any, qtbot: Any
) -> None:
    spacing = ready.form.fields["recipe.spacing_mm"]
    spacing.value = 3.0
    qtbot.waitUntil(ready.notice.isVisible, timeout=10_000)
    assert "voxels are 2 mm, the training asks for 3 mm" in ready.notice.text.text()
    assert not ready.start_button.isEnabled()
    assert ready.start_button.toolTip() == ready.notice.text.text()
    click(ready.notice.action_button)
    assert ready.form.changes() == {"recipe": {"spacing_mm": None}}
    qtbot.waitUntil(ready.start_button.isEnabled, timeout=10_000)
    assert not ready.notice.isVisible()


def test_a_crash_the_user_can_mend_says_how(
    ready: PretrainDock, monkeypatch: pytest.MonkeyPatch, click: Any, qtbot: Any
) -> None:
    monkeypatch.setenv("SMALL_WORKER_CRASHES", "mendable")
    click(ready.start_button)
    card = started(ready, qtbot)
    with qtbot.waitSignal(card.ended, timeout=20_000):
        pass
    assert card.notice.text.text() == (
        "Memory ran out. Lower 'batch'. Resume, under Runs, goes on from step 30."
    )


def test_an_impossible_setting_leaves_no_run(
    ready: PretrainDock,
    places: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    click: Any,
    qtbot: Any,
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise BadConfig("The setting 'batch' is not usable", next_step="Lower it")

    monkeypatch.setattr("scanlearn.new_run.pretraining_config", refuse)
    click(ready.start_button)
    qtbot.waitUntil(ready.notice.isVisible, timeout=10_000)
    assert "Lower it." in ready.notice.text.text()
    assert not list(find_runs(places.runs))
    assert ready.start_button.isEnabled()


def started(dock: PretrainDock, qtbot: Any) -> Any:
    """Wait for the card of the training that was started."""
    told = dock.notice.isVisible
    qtbot.waitUntil(lambda: dock.slot.card is not None or told(), timeout=20_000)
    assert dock.slot.card is not None, dock.notice.text.text()
    return dock.slot.card


def stalls_while(qtbot: Any, seconds: float) -> list[float]:
    """Return how long the main thread computed, each time it handled events.

    Its own seconds, not those of the clock: other processes may hold the cores.
    """
    from qtpy.QtWidgets import QApplication

    away, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.thread_time()
        QApplication.processEvents()
        away.append(time.thread_time() - start)
        time.sleep(0.005)
    return away
