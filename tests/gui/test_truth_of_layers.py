"""Correcting a prediction: only what was touched or ticked is truth."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from napari.utils.key_bindings import KeyBinding

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.labels.paint import IGNORED
from scanlearn.gui.tasks.shared.label_layers import label_layers
from scanlearn.gui.train.finetune_dock import FinetuneDock
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import grid_of, origin_of
from scanlearn.prediction.summary import FoundClass, Prediction
from scanlearn.runs.folder import find_runs
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.scans.find import find_scans

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


@pytest.fixture
def predicted(dock: FinetuneDock, image: Any, tmp_path: Path) -> Any:
    """Return the layer of a prediction that fills the whole scan with class 1."""
    origin = origin_of(image)
    file = tmp_path / "scan_labels.nii.gz"
    write_nifti(file, np.ones(origin.grid.shape, dtype=np.uint8), origin.grid)
    found = Prediction(
        task="segmentation",
        run="2026-11-21_lungs",
        scan="scan",
        source="dicom",
        grid=origin.grid,
        folder=tmp_path,
        labels=file,
        probabilities=None,
        uncertainty=None,
        maps=[],
        tables=[],
        classes=[FoundClass(1, "lung", 1.0)],
        lungs={},
        cautions=[],
        facts={},
    )
    data, settings, _ = label_layers(found, origin, grid_of(image))[-1]
    return dock.viewer.add_labels(data, **settings)


def stroke(dock: Any, layer: Any, index: int, value: int) -> None:
    """Paint a disc into an axial slice, as the mouse does."""
    dock.viewer.dims.set_current_step(0, index)
    layer.brush_size = 6
    layer.paint((index, 20, 20), value)


def press(layer: Any, key: str) -> None:
    layer.keymap[KeyBinding.from_str(key)](layer)


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_only_slices_touched_or_ticked_of_a_prediction_are_truth(
    dock: FinetuneDock,
    predicted: Any,
    prepared: Path,
    places: SimpleNamespace,
    click: Any,
    qtbot: Any,
) -> None:
    panel = dock.panel
    dock.viewer.layers.selection.active = predicted
    assert panel.truth.counted.text() == "No slice yet"
    click(panel.use_button)
    qtbot.waitUntil(dock.notice.isVisible, timeout=10_000)
    assert "was touched or ticked" in dock.notice.text.text()
    for index in (8, 15, 16):
        stroke(dock, predicted, index, 0)
    assert panel.truth.counted.text() == "3 of 31 axial slices"
    dock.viewer.dims.set_current_step(0, 22)
    assert not panel.truth.tick.isChecked()
    press(predicted, "T")
    assert panel.truth.tick.isChecked()
    dock.viewer.dims.set_current_step(0, 23)
    click(panel.truth.tick)
    press(predicted, "T")  # and taken back
    assert panel.truth.counted.text() == "4 of 31 axial slices"
    click(panel.use_button)
    qtbot.waitUntil(lambda: len(panel.labels.sources) == 1, timeout=10_000)
    assert "4 of 31 axial slices" in panel.labels.item(0).text()

    click(dock.start_button)
    qtbot.waitUntil(lambda: dock.slot.card is not None, timeout=20_000)
    (run,) = find_runs(places.runs)
    (mask,) = run.inputs.glob("*_labels.nii.gz")
    told = json.loads((run.inputs / "classes.json").read_text())["scans"]
    (facts,) = told.values()
    assert facts["labelling"] == "known"
    # The cohort's voxels are smaller: what was not looked at is ignored there, too.
    image = nib.load(mask)
    values = np.asarray(image.dataobj)
    assert set(np.unique(values)) == {0, 1, IGNORED}
    heights = nib.affines.apply_affine(
        image.affine, np.stack(np.indices(values.shape), -1).reshape(-1, 3)
    )[:, 2].reshape(values.shape)
    grid = origin_of(predicted).grid
    shown = grid_of(predicted)
    ours = [shown.to_patient([[i, 0, 0]])[0][2] for i in (8, 15, 16, 22)]
    near = np.min([abs(heights - one) for one in ours], axis=0)
    half = min(grid.spacing_mm[0], 10.0) / 2
    assert (values[near > half + 2] == IGNORED).all()
    assert (values[near < half - 2] != IGNORED).all()
    assert Cohort(prepared).keys()


def test_slices_painted_by_hand_before_are_kept(
    dock: FinetuneDock, image: Any, predicted: Any, click: Any, qtbot: Any
) -> None:
    panel = dock.panel
    dock.viewer.layers.selection.active = image
    click(panel.new_button)
    mine = dock.viewer.layers[-1]
    for index in (4, 5, 6, 7):  # neighbours, which once meant the whole scan
        stroke(dock, mine, index, 2)
    click(panel.use_button)
    qtbot.waitUntil(lambda: len(panel.labels.sources) == 1, timeout=10_000)
    assert "4 of 31 axial slices" in panel.labels.item(0).text()
    dock.viewer.layers.selection.active = predicted
    stroke(dock, predicted, 7, 0)
    stroke(dock, predicted, 20, 0)
    click(panel.use_button)
    qtbot.waitUntil(lambda: "5 of 31" in panel.labels.item(0).text(), timeout=10_000)
    (kept,) = panel.labels.painted()
    painted = kept.read()
    assert np.array_equal(painted.labels[4], mine.data[4])  # by hand, kept
    assert np.array_equal(painted.labels[7], predicted.data[7])  # corrected since
    assert (painted.labels[10] == 1).all()
    assert not painted.known.mask()[10].any()


def test_the_whole_scan_counts_when_asked_for(
    dock: FinetuneDock, predicted: Any, click: Any
) -> None:
    truth = dock.panel.truth
    dock.viewer.layers.selection.active = predicted
    stroke(dock, predicted, 8, 0)
    truth.whole.click()
    assert truth.counted.text() == "Whole scan"
    assert not truth.tick.isEnabled()
    truth.slices.click()
    assert truth.counted.text() == "1 of 31 axial slices"
