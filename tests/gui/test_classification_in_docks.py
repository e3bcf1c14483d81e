"""Labels of radiographs in the Fine-tune dock, results in the Predict dock."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from scanlearn.cohort.catalogue import Cohort
from scanlearn.gui.tasks.classification.overlay import activation_layers
from scanlearn.gui.tasks.classification.result import ClassificationResult
from scanlearn.gui.train.finetune_dock import FinetuneDock
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import grid_of, origin_of
from scanlearn.prediction.summary import read_prediction
from scanlearn.runs.folder import find_runs
from scanlearn.scans.files.write_nifti import write_nifti_channels
from scanlearn.scans.find import find_scans
from scanlearn.tasks.classification.labels import ImageLabels

pytestmark = pytest.mark.viewer


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with six pictures, a cohort of them and a table of labels."""
    from scanlearn.cohort.preparation.prepare import prepare
    from scanlearn.config.prepare import PrepareConfig

    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(0)
    (folder / "scans").mkdir()
    for n in range(6):
        pixels = rng.integers(0, 255, (30, 40), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "scans" / f"film{n}.png")
    config = PrepareConfig(radiograph_size=32, workers=0)
    prepare(folder / "scans", folder / "films", config)
    with (folder / "labels.csv").open("w", newline="") as file:
        rows = [["path", "label"], ["scans/film1.png", "abnormal"]]
        rows += [["scans/film2.png", "normal"]]
        csv.writer(file).writerows(rows)
    return folder


@pytest.fixture
def dock(open_dock: Any, films: Path, small_launch: Any, qtbot: Any) -> FinetuneDock:
    dock = open_dock(FinetuneDock)
    dock.cohorts.open(films / "films")
    dock.tasks.setCurrentIndex(dock.tasks.findData("classification"))
    qtbot.waitUntil(lambda: dock.panel.images.rowCount() == 6, timeout=20_000)
    return dock


def line_of(dock: FinetuneDock, name: str) -> int:
    table = dock.panel.images
    texts = [table.item(line, 0).text() for line in range(table.rowCount())]
    (line,) = [n for n, text in enumerate(texts) if text.startswith(name)]
    return line


def test_typed_labels_and_those_of_a_table_become_a_run(
    dock: FinetuneDock,
    films: Path,
    places: SimpleNamespace,
    click: Any,
    qtbot: Any,
) -> None:
    table = dock.panel.images
    assert "at least two kinds" in dock.start_button.toolTip()
    dock.panel.open(films / "labels.csv")
    qtbot.waitUntil(lambda: len(dock.panel.labels()) == 2, timeout=20_000)
    assert table.item(line_of(dock, "film1.png"), 1).text() == "abnormal"
    assert dock.panel.counts.text() == "abnormal 1, normal 1; 4 without a label"
    assert dock.start_button.isEnabled()

    # The next image without a label is shown, and labelled by hand.
    click(dock.panel.next_button)
    line = table.currentRow()
    name = table.item(line, 0).text().split(" ")[0]
    assert name not in ("film1.png", "film2.png")
    qtbot.waitUntil(lambda: len(dock.viewer.layers) == 1, timeout=20_000)
    assert origin_of(dock.viewer.layers[0]).source.name == name
    table.item(line, 1).setText("normal")
    other = line_of(dock, "film1.png")
    table.setCurrentCell(other, 1)
    qtbot.waitUntil(
        lambda: (
            [origin_of(one).source.name for one in dock.viewer.layers] == ["film1.png"]
        ),
        timeout=20_000,
    )
    click(dock.start_button)
    qtbot.waitUntil(lambda: dock.slot.card is not None, timeout=20_000)
    with qtbot.waitSignal(dock.slot.card.ended, timeout=20_000):
        pass
    (run,) = find_runs(places.runs)
    assert run.config().recipe.name == "classification"
    found = ImageLabels.load(run.inputs)
    assert found.classes == ("normal", "abnormal")
    sources = Cohort(films / "films").sources()
    shown = {Path(sources[i.scan].path).name: i.classes[0] for i in found.items}
    assert shown == {"film1.png": "abnormal", "film2.png": "normal", name: "normal"}


def test_another_cohort_has_other_images(dock: FinetuneDock, prepared: Path) -> None:
    dock.panel.images.item(0, 1).setText("normal")
    dock.cohorts.open(prepared)
    assert dock.panel.labels() == {}
    assert dock.panel.images.rowCount() == 0
    assert not dock.start_button.isEnabled()


@pytest.fixture
def classified(open_dock: Any, films: Path, tmp_path: Path) -> SimpleNamespace:
    """Return a shown radiograph with a prediction of three findings."""
    viewer = open_dock(FinetuneDock).viewer
    (entry,) = find_scans(films / "scans" / "film0.png")
    data, settings, _ = read_entry(entry)
    image = viewer.add_image(data, **settings)
    origin, grid = origin_of(image), grid_of(image)
    maps = np.zeros((3, *origin.grid.shape), np.float32)
    maps[0, 0, 3, 5] = 2.0
    maps[1, 0, 20, 30] = -4.0
    write_nifti_channels(tmp_path / "scan_activation.nii.gz", maps, origin.grid)
    about = {
        "run": "2026-11-21_films",
        "task": "classification",
        "scan": "scan",
        "source": "picture",
        "grid": {
            "shape": origin.grid.shape,
            "affine": origin.grid.affine.tolist(),
        },
        "tables": ["predictions.csv"],
        "maps": ["scan_activation.nii.gz"],
        "label": ["mass"],
        "several": True,
        "threshold": 0.5,
        "probabilities_of": {"effusion": 0.25, "mass": 0.75, "nodule": 0.1},
        "held_out": {"AUC": 0.81},
        "images": 12,
        "patients": 9,
        "method": "frozen",
    }
    (tmp_path / "scan_prediction.json").write_text(json.dumps(about))
    found = read_prediction(tmp_path / "scan_prediction.json")
    layers = activation_layers(found, origin, grid)
    added = [viewer.add_image(data, **more) for data, more, _ in layers]
    panel = ClassificationResult(viewer)
    viewer.window.add_dock_widget(panel, area="right")
    panel.show_prediction(found, added)
    return SimpleNamespace(panel=panel, image=image, layers=added, maps=maps)


def test_the_likeliest_finding_is_shown_and_others_on_demand(
    classified: SimpleNamespace,
) -> None:
    panel, layers = classified.panel, classified.layers
    assert panel.said.text() == "mass"
    table = panel.table
    lines = [
        (table.item(row, 0).text(), table.cellWidget(row, 1).text())
        for row in range(table.rowCount())
    ]
    assert lines == [("mass", "0.75"), ("effusion", "0.25"), ("nodule", "0.10")]
    by_name = {layer.name.split(": ")[1]: layer for layer in layers}
    assert [n for n, one in by_name.items() if one.visible] == ["mass"]
    np.testing.assert_array_equal(by_name["mass"].data, classified.maps[1])
    # In place over the image, and clear where nothing speaks for or against.
    mass, image = by_name["mass"], classified.image
    np.testing.assert_allclose(
        mass.data_to_world((0, 20, 30)), image.data_to_world((0, 20, 30))
    )
    colours = mass.colormap.map(np.array([0.0, 0.5, 1.0]))
    assert colours[1][3] == 0
    assert colours[0][3] == colours[2][3] == 1
    assert colours[0][2] > colours[0][0]  # blue speaks against
    assert colours[2][0] > colours[2][2]  # orange for
    assert mass.contrast_limits == [-4.0, 4.0]
    table.selectRow(1)
    assert [n for n, one in by_name.items() if one.visible] == ["effusion"]
    assert "effusion" in panel.key.text()
    assert "12 images of 9 patients" in panel.trust.text()
    assert "AUC 0.81" in panel.trust.text()
    assert "few" in panel.trust.text()
