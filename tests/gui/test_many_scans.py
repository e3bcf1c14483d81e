"""Predicting on a folder or a cohort in the dock, by real processes."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import Qt

from scanlearn.gui.predict.dock import PredictDock
from scanlearn.gui.viewer.layers import grid_of
from scanlearn.gui.viewer.world_points import diameters_mm

pytestmark = pytest.mark.viewer


@pytest.fixture
def dock(
    detector: Path, places: SimpleNamespace, open_dock: Any, qtbot: Any
) -> PredictDock:
    places.runs.mkdir()
    (places.runs / detector.name).symlink_to(detector)
    dock = open_dock(PredictDock)
    qtbot.waitUntil(lambda: dock.models.path is not None, timeout=20_000)
    dock.batch.setVisible(True)
    return dock


def predicted(dock: PredictDock, click: Any, qtbot: Any) -> None:
    batch = dock.batch
    click(batch.predict_button)
    assert batch.predict_button.toolTip() == "Scans are predicted on"
    qtbot.waitUntil(lambda: not batch.job.busy, timeout=600_000)
    assert not batch.notice.isVisible(), batch.notice.text.text()
    qtbot.waitUntil(lambda: len(batch.rows) == 2, timeout=20_000)


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_a_folder_is_predicted_on_and_goes_on_where_it_stopped(
    dock: PredictDock, scans_folder: Path, click: Any, qtbot: Any, tmp_path: Path
) -> None:
    batch = dock.batch
    assert batch.predict_button.toolTip() == "Choose a folder of scans first"
    batch.choose_folder(scans_folder)
    predicted(dock, click, qtbot)
    names = sorted(batch.table.names())
    assert batch.count.text() == "2 scans done"
    heads = [
        batch.table.horizontalHeaderItem(n).text()
        for n in range(batch.table.columnCount())
    ]
    assert heads == ["Scan", "findings", "best score", "largest mm", "reviewed", "real"]

    # One is lost, as by a stop: only that one is made again.
    first, second = sorted(batch.out.glob("*_prediction.json"))
    second.unlink()
    before = first.stat().st_mtime_ns
    predicted(dock, click, qtbot)
    assert first.stat().st_mtime_ns == before
    assert second.exists()

    batch.table.sortItems(0, Qt.SortOrder.DescendingOrder)
    assert batch.table.names() == names[::-1]
    batch.export_to(tmp_path / "results.csv")
    with (tmp_path / "results.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["scan"] for row in rows] == names[::-1]
    assert rows[0]["reviewed"] == "0"

    batch.table.selectRow(1)
    click(batch.open_button)
    qtbot.waitUntil(
        lambda: dock.prediction is not None or batch.notice.isVisible(), timeout=60_000
    )
    assert not batch.notice.isVisible(), batch.notice.text.text()
    image, findings, _words = dock.viewer.layers
    assert dock.prediction.scan == names[0]
    panel = dock.panels["detection"]
    sizes = [one.finding.diameter_mm for one in panel.review.items]
    np.testing.assert_allclose(diameters_mm(findings), sizes, rtol=1e-6)
    panel.least.setValue(0.0)  # two steps of training are sure of nothing
    panel.table.choose(0)
    panel.accept()
    qtbot.waitUntil(lambda: len(batch.rows) == 2, timeout=20_000)
    assert batch.rows[names[0]].cells["real"] == 1
    assert image.visible


def test_a_cohort_is_shown_as_it_is_stored(
    dock: PredictDock, prepared: Path, click: Any, qtbot: Any
) -> None:
    from scanlearn.cohort.catalogue import Cohort

    batch = dock.batch
    dock.state.choose_cohort(prepared)
    assert batch.source == prepared
    predicted(dock, click, qtbot)
    cohort = Cohort(prepared)
    assert sorted(batch.table.names()) == sorted(cohort.keys())
    batch.table.selectRow(0)
    key = batch.table.chosen
    click(batch.open_button)
    qtbot.waitUntil(
        lambda: dock.prediction is not None or batch.notice.isVisible(), timeout=60_000
    )
    assert not batch.notice.isVisible(), batch.notice.text.text()
    assert grid_of(dock.viewer.layers[0]).matches(cohort.grid(key))
