from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from scanlearn.gui.layers import grid_of
from scanlearn.gui.opening import read_entry
from scanlearn.gui.predict_dock import PredictDock
from scanlearn.runs.events import Finished, Started
from scanlearn.runs.folder import EventLog
from scanlearn.scans.find import find_scans

pytestmark = pytest.mark.viewer


def finish(run: Any) -> None:
    log = EventLog(run)
    log.write(Started(steps=1))
    log.write(Finished(step=1))
    log.close()
    (run.checkpoints / "last").mkdir()


@pytest.fixture
def dock(open_dock: Any, make_run: Any, small_predict: None, qtbot: Any) -> PredictDock:
    finish(make_run("2026-11-21_lungs", "finetune"))
    dock = open_dock(PredictDock)
    qtbot.waitUntil(lambda: dock.models.currentData() is not None, timeout=10_000)
    return dock


@pytest.fixture
def image(dock: PredictDock, scans_folder: Path) -> Any:
    data, settings, _ = read_entry(find_scans(scans_folder)[0])
    return dock.viewer.add_image(data, **settings)


def test_without_a_model_or_a_scan_predict_says_so(
    open_dock: Any, make_run: Any
) -> None:
    dock = open_dock(PredictDock)
    assert dock.predict_button.toolTip() == "Fine-tune a model first"


def test_a_result_lies_over_the_scan_and_is_saved(
    dock: PredictDock, image: Any, tmp_path: Path, click: Any, qtbot: Any
) -> None:
    click(dock.predict_button)
    qtbot.waitUntil(
        lambda: dock.prediction is not None or dock.notice.isVisible(), timeout=30_000
    )
    assert not dock.notice.isVisible(), dock.notice.text.text()
    probability, labels = dock.viewer.layers[-2:]
    assert labels.name.endswith("lungs (labels)")
    assert grid_of(labels).matches(grid_of(image))
    assert np.array_equal(labels.data, image.data < -500)
    assert np.array_equal(probability.data, labels.data.astype(np.float32))
    assert probability.units == image.units
    lung_ml = (image.data < -500).sum() * grid_of(image).voxel_ml
    assert dock.legend.lines == [f"lung {lung_ml:,.0f} ml"]

    target = tmp_path / "results"
    target.mkdir()
    dock.save_to(target)
    qtbot.waitUntil(dock.saved.isVisible, timeout=10_000)
    saved = nib.load(target / "scan_labels.nii.gz")
    assert int(np.asarray(saved.dataobj).sum()) == int(labels.data.sum())
    assert len(list(target.iterdir())) == 3


def test_a_scan_not_yet_shown_is_opened(
    dock: PredictDock, scans_folder: Path, qtbot: Any
) -> None:
    assert "Add a scan" in dock.predict_button.toolTip()
    dock.open_scan(next(scans_folder.rglob("*.nii.gz")))
    qtbot.waitUntil(dock.predict_button.isEnabled, timeout=10_000)


def test_a_failed_prediction_is_told_in_place(
    dock: PredictDock, image: Any, make_run: Any, click: Any, qtbot: Any
) -> None:
    finish(make_run("unlearned", "finetune"))
    dock.state.runs.refresh()
    qtbot.waitUntil(lambda: dock.models.count() == 2, timeout=10_000)
    dock.models.setCurrentIndex(dock.models.findText("unlearned"))
    click(dock.predict_button)
    qtbot.waitUntil(dock.notice.isVisible, timeout=30_000)
    assert "unlearned has no model. Fine-tune it first." in dock.notice.text.text()
    assert dock.predict_button.isEnabled()
