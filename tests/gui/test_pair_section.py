"""Two runs side by side in the Runs dock; both really predict, in their own process."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from scanlearn.cohort.catalogue import Cohort
from scanlearn.gui.runs.dock import RunsDock
from scanlearn.runs.evaluations import keep_evaluation
from scanlearn.runs.events import Epoch, Finished, Started, Step
from scanlearn.runs.folder import EventLog, RunFolder

pytestmark = pytest.mark.viewer
TESTS = Path(__file__).resolve().parents[1]
RUNS = TESTS / "compatibility" / "fixtures" / "v0_1" / "runs"


@pytest.fixture
def trained(places: Any, prepared: Path) -> Any:
    """Return a function that takes in a small trained run of 0.1."""

    def take(name: str) -> RunFolder:
        path = places.runs / name
        shutil.copytree(RUNS / name, path)
        config = path / "config.yaml"
        text = config.read_text("utf-8").replace("__HERE__/cohort", str(prepared))
        config.write_text(text.replace("__HERE__", str(places.runs.parent)), "utf-8")
        return RunFolder(path)

    return take


def select(qtbot: Any, dock: RunsDock, *names: str) -> None:
    shown = [dock.table.item(n, 0).text() for n in range(dock.table.rowCount())]
    for number, name in enumerate(names):
        key = Qt.KeyboardModifier.ControlModifier
        if number == 0:
            key = Qt.KeyboardModifier.NoModifier
        item = dock.table.item(shown.index(name), 0)
        place = dock.table.visualItemRect(item).center()
        qtbot.mouseClick(dock.table.viewport(), Qt.MouseButton.LeftButton, key, place)


def cells(table: Any) -> dict[str, tuple[str, str]]:
    rows = [
        [table.item(n, column).text() for column in range(3)]
        for n in range(table.rowCount())
    ]
    return {row[0]: (row[1], row[2]) for row in rows}


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_two_models_are_compared_and_their_disagreement_becomes_a_layer(
    open_dock: Any, trained: Any, prepared: Path, click: Any, qtbot: Any
) -> None:
    trained("lungs"), trained("lungs_by_slice")
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: dock.table.rowCount() == 2, timeout=10_000)
    dock.order.setCurrentText("name")
    pair, apart = dock.pair, dock.pair.disagreement
    assert not pair.isVisible()
    select(qtbot, dock, "lungs", "lungs_by_slice")
    qtbot.waitUntil(lambda: pair.facts is not None, timeout=10_000)
    assert pair.isVisible()
    assert apart.isVisible()
    assert cells(pair.settings)["recipe.side"] == ("none", "32")
    assert "recipe.tile" not in cells(pair.settings)
    assert apart.scan_button.toolTip() == "Add a scan to the viewer first"

    click(apart.cohort_button)
    qtbot.waitUntil(lambda: apart.list.count() == 2, timeout=180_000)
    listed = [apart.list.item(n).text() for n in range(2)]
    keys = [apart.list.item(n).data(Qt.ItemDataRole.UserRole) for n in range(2)]
    assert sorted(keys) == Cohort(prepared).keys()
    shares = [int(text.split("%")[0]) for text in listed]
    assert shares == sorted(shares, reverse=True)
    click(apart.open_button)
    qtbot.waitUntil(lambda: len(dock.viewer.layers) == 1, timeout=20_000)

    click(apart.scan_button)
    qtbot.waitUntil(lambda: len(dock.viewer.layers) == 4, timeout=180_000)
    scan, one, other, found = dock.viewer.layers
    assert found.name.endswith("disagreement (labels)")
    assert [layer.visible for layer in (one, other, found)] == [False, False, True]
    assert found.data.shape == scan.data.shape
    np.testing.assert_array_equal(found.data > 0, one.data != other.data)
    assert found.data.any()
    # The list said the same of the prepared scan: one minus the mean Dice of classes.
    dice = []
    for value in (1, 2):
        a, b = one.data == value, other.data == value
        dice.append(2 * (a & b).sum() / (a.sum() + b.sum()))
    assert shares[0] == pytest.approx(100 * (1 - np.mean(dice)), abs=3)


def test_curves_and_scores_of_two_trainings_lie_over_each_other(
    open_dock: Any, make_run: Any, qtbot: Any
) -> None:
    for name, seed in (("a", 0), ("b", 1)):
        run = make_run(name, engine={"seed": seed})
        log = EventLog(run)
        log.write(Started(steps=3))
        for step in range(1, 4):
            log.write(Step(step=step, values={"loss": (1.0 + seed) / step}))
        log.write(Epoch(step=3, values={"retrieval": 0.5 + seed / 4}, best=True))
        log.write(Finished(step=3))
        log.close()
        score = {"mean": 0.8, "low": 0.7, "high": 0.9, "n": 5, "sd": 0.1}
        found = {"mean": {"dice": score}, "classes": {}, "remarks": []}
        if seed:
            keep_evaluation(run, found, cohort="abc")
    make_run("broken").path.joinpath("config.yaml").write_text("kind: nothing\n")
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: dock.table.rowCount() == 3, timeout=10_000)
    dock.order.setCurrentText("name")
    pair = dock.pair
    select(qtbot, dock, "a", "b")
    qtbot.waitUntil(lambda: pair.facts is not None, timeout=10_000)
    assert cells(pair.settings) == {"engine.seed": ("0", "1")}
    assert cells(pair.scores) == {
        "validation: retrieval": ("0.500", "0.750"),
        "on abc: dice": ("–", "0.800 [0.70, 0.90]"),
    }
    assert pair.curves.currentData() == "loss"
    drawn = [list(line.getData()[1]) for line in pair.plot.listDataItems()]
    assert drawn == [[1.0, 0.5, 1 / 3], [2.0, 1.0, 2 / 3]]
    pair.curves.setCurrentIndex(pair.curves.findData("retrieval"))
    assert [list(line.getData()[1]) for line in pair.plot.listDataItems()] == [
        *([0.5], [0.75])
    ]
    assert not pair.disagreement.isVisible()  # they predict nothing
    select(qtbot, dock, "a", "broken")
    assert not pair.isVisible()
