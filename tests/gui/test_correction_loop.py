"""From a prediction to the next one: correct, train again, next scan, predict.

Real commands and real worker processes on the sample cohort; clicks are counted.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.labels.paint import IGNORED
from scanlearn.gui.tasks.shared.scan_keys import scan_key_of
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import origin_of
from scanlearn.gui.workbench import Workbench
from scanlearn.new_run import finetuning_config, labels_for, new_finetuning
from scanlearn.runs import launch
from scanlearn.runs.folder import RunFolder, find_runs
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.scans.find import find_scans
from scanlearn.tasks.registry import task_named

pytestmark = [pytest.mark.viewer, pytest.mark.slow]

#: So small that all of a round takes seconds.
TINY = {
    "recipe": {"dimensions": 3, "width": 2, "stride": 2, "batch": 2, "average": 0},
    "engine": {"steps": 4, "threads": 1, "device": "cpu"},
}


@pytest.fixture
def lungs(places: SimpleNamespace, prepared: Path, tmp_path: Path) -> RunFolder:
    """Return a model that was trained on the first scan of two."""
    cohort, task = Cohort(prepared), task_named("segmentation")
    config = finetuning_config(
        [prepared], task=task, preset_name="quick", start_from=None, changes=TINY
    )
    key, folder = cohort.keys()[0], tmp_path / "labels"
    grid = cohort.grid(key)
    truth = np.zeros(grid.shape, np.uint8)
    truth[tuple(slice(n // 4, n // 2) for n in grid.shape)] = 1
    write_nifti(folder / f"{key}.nii.gz", truth, grid)
    (folder / "classes.json").write_text('{"1": "lung"}')
    labels = labels_for(task, config, folder)
    run = new_finetuning(config, labels, places.runs / "2026-11-21_lungs")
    assert launch(run).wait() == 0
    return run


@pytest.fixture
def counted(click: Callable[[Any], None]) -> tuple[Callable[[Any], None], list[str]]:
    """Return a function that clicks, and what was clicked."""
    clicked: list[str] = []

    def press(button: Any) -> None:
        clicked.append(button.text())
        click(button)

    return press, clicked


@pytest.mark.timeout(600)
@pytest.mark.parametrize("open_dock", ["script"], indirect=True)
def test_from_a_prediction_to_the_next_one(
    open_dock: Any,
    prepared: Path,
    scans_folder: Path,
    places: SimpleNamespace,
    lungs: RunFolder,
    counted: Any,
    qtbot: Any,
) -> None:
    press, clicked = counted
    bench = open_dock(Workbench)
    viewer, finetune, predict = bench.finetune.viewer, bench.finetune, bench.predict
    finetune.cohorts.open(prepared)
    cohort = Cohort(prepared)
    first, second = cohort.keys()
    for entry in find_scans(scans_folder):
        data, settings, _ = read_entry(entry)
        if scan_key_of(settings["metadata"]["scanlearn"], "", cohort) == first:
            viewer.add_image(data, **settings)
    bench.tabs.setCurrentWidget(predict)
    qtbot.waitUntil(lambda: predict.models.path == lungs.path, timeout=20_000)
    press(predict.predict_button)
    qtbot.waitUntil(lambda: predict.prediction is not None, timeout=120_000)
    result, panel = predict.panels["segmentation"], finetune.panel
    # Set once, not in every round.
    finetune.form.set_value("engine.steps", 2)

    clicked.clear()
    press(result.correct_button)
    qtbot.waitUntil(lambda: bench.tabs.currentWidget() is finetune, timeout=20_000)
    layer = viewer.layers.selection.active
    assert layer.name.endswith("corrected (labels)")
    assert layer.mode == "paint"
    assert finetune.starts.currentData() == lungs.path
    assert finetune.starts.currentText().startswith("go on: lungs")
    layer.brush_size = 12
    for index in (10, 20):  # the painting
        viewer.dims.set_current_step(0, index)
        layer.paint((index, 20, 20), 1)
    qtbot.waitUntil(lambda: len(panel.labels.sources) == 1, timeout=20_000)
    assert finetune.start_button.text() == "Train again"
    press(finetune.start_button)
    qtbot.waitUntil(
        lambda: finetune.slot.card is not None or finetune.notice.isVisible(),
        timeout=60_000,
    )
    assert not finetune.notice.isVisible(), finetune.notice.text.text()
    (again,) = [run for run in find_runs(places.runs) if run.path != lungs.path]
    qtbot.waitUntil(lambda: again.state() == "finished", timeout=180_000)

    qtbot.waitUntil(lambda: predict.models.path == again.path, timeout=20_000)
    press(panel.next.button)
    qtbot.waitUntil(lambda: bench.tabs.currentWidget() is predict, timeout=120_000)
    image = viewer.layers.selection.active
    assert scan_key_of(origin_of(image), image.name, cohort) == second
    assert predict.scans.currentData() == image.name
    assert [one.name for one in viewer.layers if one.visible] == [image.name]
    predict.prediction = None
    press(predict.predict_button)
    qtbot.waitUntil(lambda: predict.prediction is not None, timeout=120_000)
    assert predict.prediction.run == again.path.name
    assert predict.prediction.grid.matches(origin_of(image).grid)

    assert clicked == ["Correct this", "Train again", "Next scan ▸", "Predict"]
    config = again.config()
    assert config.start_from == lungs.path
    facts = json.loads((again.inputs / "classes.json").read_text())["scans"]
    assert list(facts) == [first]
    assert facts[first]["labelling"] == "known"
    (mask,) = again.inputs.glob("*.nii.gz")
    values = np.asarray(nib.load(mask).dataobj)
    assert (values == IGNORED).mean() > 0.8  # two slices of 31 were looked at
