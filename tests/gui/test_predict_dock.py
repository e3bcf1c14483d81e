from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from scanlearn.gui.predict.dock import PredictDock
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import grid_of
from scanlearn.runs.events import Epoch, Finished
from scanlearn.runs.folder import EventLog
from scanlearn.scans.find import find_scans

pytestmark = pytest.mark.viewer


@pytest.fixture
def dock(
    open_dock: Any, make_finished: Any, small_predict: None, qtbot: Any
) -> PredictDock:
    make_finished("2026-11-21_lungs", "finetune")
    dock = open_dock(PredictDock)
    qtbot.waitUntil(lambda: dock.models.path is not None, timeout=10_000)
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
    said: list[str] = []
    dock.viewer.layers.events.inserted.connect(
        lambda _event: said.append(dock.missing.text())
    )
    click(dock.predict_button)
    qtbot.waitUntil(
        lambda: dock.prediction is not None or dock.notice.isVisible(), timeout=30_000
    )
    assert not dock.notice.isVisible(), dock.notice.text.text()
    assert said == [f"Adding layer {n} of 3…" for n in (1, 2, 3)]
    assert dock.predict_button.isEnabled()
    probability, uncertainty, labels = dock.viewer.layers[-3:]
    assert labels.name.endswith("lungs (labels)")
    assert grid_of(labels).matches(grid_of(image))
    assert np.array_equal(labels.data, image.data < -500)
    assert np.array_equal(probability.data, labels.data.astype(np.float32))
    assert probability.units == image.units
    assert not uncertainty.visible
    assert np.array_equal(uncertainty.data > 0, image.data < -900)
    assert uncertainty.colormap.map([0.0])[0, 3] == 0
    lung_ml = (image.data < -500).sum() * grid_of(image).voxel_ml
    assert dock.panels["segmentation"].legend.lines == [f"lung {lung_ml:,.0f} ml"]

    assert "LAA-950 12.3 %" in dock.panels["segmentation"].lungs.text().replace(
        "\xa0", " "
    )
    assert "Slices are thick" in dock.panels["segmentation"].lungs.text()

    box = dock.saving
    assert box.formats["dicom-seg"].isEnabled()
    for one in box.formats.values():
        one.setChecked(True)
    target = tmp_path / "results"
    box.save_to(target)
    assert box.save_button.toolTip() == "Saving is going on"
    assert not box.saved.isVisible()
    assert dock.predict_button.toolTip() == "The last result is being saved"
    qtbot.waitUntil(
        lambda: box.saved.isVisible() or box.notice.isVisible(), timeout=60_000
    )
    assert not box.notice.isVisible(), box.notice.text.text()
    assert box.saved.text() == f"Saved and read again: 8 files in {target}"
    assert sorted(file.name for file in target.iterdir()) == [
        *("scan_axial.png", "scan_coronal.png", "scan_labels.nii.gz"),
        *("scan_probabilities.nii.gz", "scan_sagittal.png", "scan_seg.dcm"),
        *("scan_uncertainty.nii.gz", "scan_volumes.csv"),
    ]
    saved = nib.load(target / "scan_labels.nii.gz")
    assert int(np.asarray(saved.dataobj).sum()) == int(labels.data.sum())
    assert dock.predict_button.isEnabled()


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_several_views_give_volumes_a_spread(
    dock: PredictDock, image: Any, make_finished: Any, click: Any, qtbot: Any
) -> None:
    assert dock.views.isVisible()
    dock.views.setChecked(True)
    click(dock.predict_button)
    qtbot.waitUntil(lambda: dock.prediction is not None, timeout=30_000)
    assert dock.panels["segmentation"].legend.lines[0].endswith(" ± 12 ml")
    come = make_finished("nodules", "finetune", recipe={"name": "detection"})
    dock.state.runs.refresh()
    # What has just been learned is what one wants to see.
    qtbot.waitUntil(lambda: dock.models.path == come.path, timeout=10_000)
    assert not dock.views.isVisible()


def test_what_cannot_be_saved_says_why(
    dock: PredictDock, scans_folder: Path, tmp_path: Path, click: Any, qtbot: Any
) -> None:
    entry = find_scans(next(scans_folder.rglob("*.nii.gz")))[0]
    data, settings, _ = read_entry(entry)
    dock.viewer.add_image(data, **settings)
    click(dock.predict_button)
    qtbot.waitUntil(lambda: dock.prediction is not None, timeout=30_000)
    box = dock.saving
    assert not box.formats["dicom-seg"].isEnabled()
    assert "not DICOM" in box.formats["dicom-seg"].toolTip()
    box.formats["dicom-seg"].setChecked(True)
    assert box.chosen() == ["nifti", "tables"]
    for one in box.formats.values():
        one.setChecked(False)
    assert box.save_button.toolTip() == "Tick a format first"
    box.formats["tables"].setChecked(True)
    mine, theirs = (tmp_path / f".1.part.{name}_a.png" for name in ("scan", "other"))
    for file in (mine, theirs):
        file.touch()
    box.save_to(tmp_path)
    box.job.cancel()
    assert (mine.exists(), theirs.exists()) == (False, True)
    assert box.save_button.isEnabled()
    (tmp_path / "file").write_text("in the way")
    box.save_to(tmp_path / "file")
    qtbot.waitUntil(box.notice.isVisible, timeout=30_000)
    assert not box.saved.isVisible()
    assert box.save_button.isEnabled()


def test_a_scan_not_yet_shown_is_opened(
    dock: PredictDock, scans_folder: Path, qtbot: Any
) -> None:
    assert "Add a scan" in dock.predict_button.toolTip()
    dock.open_scan(next(scans_folder.rglob("*.nii.gz")))
    qtbot.waitUntil(dock.predict_button.isEnabled, timeout=10_000)


def test_a_failed_prediction_is_told_in_place(
    dock: PredictDock, image: Any, make_finished: Any, click: Any, qtbot: Any
) -> None:
    come = make_finished("unlearned", "finetune")
    dock.state.runs.refresh()
    # What has just been learned is what one wants to see.
    qtbot.waitUntil(lambda: dock.models.path == come.path, timeout=10_000)
    click(dock.predict_button)
    qtbot.waitUntil(dock.notice.isVisible, timeout=30_000)
    assert "unlearned has no model. Fine-tune it first." in dock.notice.text.text()
    assert dock.predict_button.isEnabled()


def test_models_stand_under_their_tasks_and_say_where_they_come_from(
    dock: PredictDock, make_run: Any, qtbot: Any
) -> None:
    assert dock.models.about.text() == (
        "Segmentation · 2026-11-21 · from scratch · not validated"
    )
    start = make_run("2026-11-20_chest").path
    nodules = make_run(
        "2026-11-22_nodules",
        "finetune",
        recipe={"name": "detection"},
        start_from=str(start),
    )
    log = EventLog(nodules)
    log.write(Epoch(step=1, values={"froc": 0.7}, best=True))
    log.write(Finished(step=1))
    log.close()
    dock.state.runs.refresh()
    qtbot.waitUntil(lambda: dock.models.path == nodules.path, timeout=10_000)
    box = dock.models.list
    texts = [box.itemText(n) for n in range(box.count())]
    assert texts == [
        *("Detection", "2026-11-22 · nodules · froc 0.70"),
        *("Segmentation", "2026-11-21 · lungs"),
    ]
    assert [bool(box.model().item(n).flags()) for n in range(4)] == [
        *(False, True, False, True)
    ]
    assert dock.models.about.text() == (
        "Detection · 2026-11-22 · from chest · best froc 0.70"
    )
    box.setCurrentIndex(3)
    dock.state.runs.refresh()
    qtbot.wait(300)
    assert dock.models.task == "segmentation"  # nothing new has come
