"""A detection is reviewed by keys, kept, learned from again and exported."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest

from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import origin_of
from scanlearn.gui.workbench import Workbench
from scanlearn.runs.folder import find_runs
from scanlearn.scans.find import find_scans
from scanlearn.scans.labels.read_dicom_seg import read_dicom_seg
from scanlearn.tasks.detection.finding_set import FindingSet

pytestmark = pytest.mark.viewer


@pytest.fixture
def work(
    detector: Path,
    places: SimpleNamespace,
    monkeypatch: pytest.MonkeyPatch,
    open_dock: Any,
    scans_folder: Path,
    click: Any,
    qtbot: Any,
) -> Workbench:
    """Return a Workbench with a scan that was predicted on."""
    places.runs.mkdir()
    (places.runs / detector.name).symlink_to(detector)
    work = open_dock(Workbench)
    work.tabs.setCurrentWidget(work.predict)
    data, settings, _ = read_entry(find_scans(scans_folder)[0])
    work.predict.viewer.add_image(data, **settings)
    qtbot.waitUntil(lambda: work.predict.models.path is not None, timeout=20_000)
    predict(work, click, qtbot)
    return work


def predict(work: Workbench, click: Any, qtbot: Any) -> None:
    dock = work.predict
    click(dock.predict_button)
    assert dock.prediction is None
    qtbot.waitUntil(
        lambda: dock.prediction is not None or dock.notice.isVisible(), timeout=180_000
    )
    assert not dock.notice.isVisible(), dock.notice.text.text()


def show_best(panel: Any, count: int) -> None:
    """Raise the lowest score until so many findings are left."""
    scores = [one.finding.score for one in panel.review.items]
    panel.least.setDecimals(6)
    panel.least.setValue((scores[count - 1] + scores[count]) / 2)
    assert sum(panel.shown()) == count


def kept(panel: Any) -> list[dict[str, str]]:
    """Return the decisions on disk."""
    (file,) = panel._prediction.folder.glob("*_review.csv")
    with file.open(newline="") as stream:
        return [row for row in csv.DictReader(stream) if row["verdict"]]


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_ten_findings_are_reviewed_by_keys_alone(
    work: Workbench, click: Any, qtbot: Any, places: SimpleNamespace, small_launch: Any
) -> None:
    panel, window = work.predict.panels["detection"], work.window()
    viewer = work.predict.viewer
    canvas = window._qt_viewer.canvas.native
    show_best(panel, 10)
    words = viewer.layers[-1]
    assert len(words.data) == 10
    window.activateWindow()
    qtbot.waitUntil(window.isActiveWindow, timeout=5_000)
    panel.table.choose(0)
    strokes = "ARA+ARAARRR"  # the third is made larger before the fourth is accepted
    for stroke in strokes:
        QTest.keyClick(canvas, stroke)
    assert "10 shown · 10 reviewed · 5 real" in panel.count.text()
    assert [row["verdict"] for row in kept(panel)].count("accepted") == 5
    before = float(kept(panel)[3]["diameter_mm"])
    found = panel._prediction.table("findings.csv").read_text().splitlines()[4]
    assert before == pytest.approx(float(found.split(",")[4]) + 0.5)
    QTest.keyClick(panel.table, "[")
    QTest.keyClick(panel.table, "]")
    assert kept(panel)[0]["slice"] == f"{panel.review.items[0].slice}"

    # One that was missed: N under the mouse, or a click and a drag.
    click(panel.add_button)
    assert "drag outwards" in panel.why.text()
    middle = QPoint(canvas.width() // 2, canvas.height() // 2)
    QTest.mousePress(canvas, Qt.MouseButton.LeftButton, pos=middle)
    QTest.mouseMove(canvas, middle + QPoint(12, 0))
    QTest.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=middle + QPoint(12, 0))
    assert panel.review.items[-1].verdict == "added"
    assert not panel.why.isVisible()
    added = panel.review.items[-1]
    there = viewer.scene.camera.center[::-1]
    np.testing.assert_allclose(added.finding.centre[:2], there[:2], atol=0.1)

    # All that was decided becomes the labels of this scan.
    click(panel.train_button)
    assert work.tabs.currentWidget() is work.finetune
    listed = work.finetune.panel.shown.labels
    assert "6 points" in listed.item(0).text()
    click(work.finetune.start_button)
    qtbot.waitUntil(
        lambda: (
            len(list(find_runs(places.runs))) == 2 or work.finetune.notice.isVisible()
        ),
        timeout=60_000,
    )
    assert not work.finetune.notice.isVisible(), work.finetune.notice.text.text()
    (run,) = [one for one in find_runs(places.runs) if "nodules" not in one.name]
    (item,) = FindingSet.load(run.inputs).items
    real = [one.finding for one in panel.review.items if one.kept]
    expected = [(*one.centre, one.diameter_mm) for one in real]
    np.testing.assert_allclose(item.objects, expected, atol=1e-6)


def test_decisions_are_there_again_and_go_into_a_dicom_seg(
    work: Workbench, click: Any, qtbot: Any, tmp_path: Path
) -> None:
    panel = work.predict.panels["detection"]
    show_best(panel, 3)
    saving = work.predict.saving
    assert "Accept findings first" in saving.formats["dicom-seg"].toolTip()
    assert "Decide about the 3 others" in panel.train_button.toolTip()
    panel.table.choose(1)
    click(panel.accept_button)
    click(panel.reject_button)  # of the next one
    decided = kept(panel)
    predict(work, click, qtbot)
    assert kept(panel) == decided
    assert [one.verdict for one in panel.review.items[:3]] == [
        "",
        "accepted",
        "rejected",
    ]

    assert saving.formats["dicom-seg"].isEnabled()
    for one in saving.formats.values():
        one.setChecked(one.isEnabled())
    target = tmp_path / "report"
    saving.save_to(target)
    qtbot.waitUntil(
        lambda: saving.saved.isVisible() or saving.notice.isVisible(), timeout=120_000
    )
    assert not saving.notice.isVisible(), saving.notice.text.text()
    (segmentation,) = target.glob("*_seg.dcm")
    (scan,) = [one for one in work.predict.viewer.layers if one.name.endswith("CT")]
    grid = origin_of(scan).grid
    stored = read_dicom_seg(segmentation, like=grid)
    accepted = panel.review.items[1].finding
    assert stored.names == {1: "nodule 1"}
    inside = grid.to_patient(np.argwhere(stored.labels == 1))
    apart = np.linalg.norm(inside - accepted.centre, axis=1)
    voxel = np.linalg.norm(grid.spacing_mm) / 2
    assert apart.max() <= max(accepted.diameter_mm / 2, voxel)
    assert len(list(target.glob("*_review.csv"))) == 1
    assert len(list(target.glob("*_findings.nii.gz"))) == 1
