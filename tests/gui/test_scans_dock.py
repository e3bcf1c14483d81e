from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest

from scanlearn.gui.scans.dock import ScansDock
from scanlearn.gui.viewer.file_layers import read_entry
from scanlearn.gui.viewer.layers import grid_of, origin_of
from scanlearn.gui.viewer.orientation import show_orientation
from scanlearn.phantom.dicom_out import write_dicom_radiograph
from scanlearn.phantom.radiograph import make_radiograph, write_png
from scanlearn.scans.find import find_scans

pytestmark = pytest.mark.viewer


@pytest.fixture
def dock(open_dock: Any) -> ScansDock:
    return open_dock(ScansDock)


def test_scans_are_found_shown_and_prepared(
    dock: ScansDock,
    scans_folder: Path,
    places: SimpleNamespace,
    click: Any,
    qtbot: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "scanlearn.gui.scans.open_row.QFileDialog.getExistingDirectory",
        lambda *_: str(scans_folder),
    )
    click(dock.opener.folder_button)
    qtbot.waitUntil(lambda: dock.list.count() == 2, timeout=10_000)
    assert "2 scans" in dock.summary.text()
    texts = "".join(dock.list.text(i) for i in range(2))
    assert "61×53×31" in texts
    assert "6×6×10 mm" in texts

    click(dock.add_button)
    layers = dock.viewer.layers
    qtbot.waitUntil(lambda: len(layers) == 1, timeout=10_000)
    origin = origin_of(layers[0])
    assert origin is not None
    assert origin.source.exists()
    assert grid_of(layers[0]).is_canonical

    dock.form.spacing.setValue(6.0)
    assert dock.form.name.text() == "sample"
    with qtbot.waitSignal(dock.form.prepared, timeout=60_000):
        click(dock.form.button)
    assert not dock.notice.isVisible(), dock.notice.text.text()
    assert len(list((places.cohorts / "sample" / "scans").glob("*.json"))) == 2
    assert dock.state.cohort == places.cohorts / "sample"


def test_an_empty_dock_teaches_and_says_what_is_no_scan(
    dock: ScansDock, tmp_path: Path, qtbot: Any, click: Any
) -> None:
    from qtpy.QtGui import QGuiApplication

    assert dock.welcome.isVisibleTo(dock)
    assert dock.add_button.toolTip() == "Open scans first"
    assert dock.form.button.toolTip() == "Open a folder of scans first"
    (tmp_path / "empty").mkdir()
    dock.open_path(tmp_path / "empty")
    qtbot.waitUntil(dock.notice.isVisible, timeout=10_000)
    assert dock.welcome.isVisible()
    assert not dock.form.button.isEnabled()
    dock.notice.clear()
    notes = tmp_path / "notes.txt"
    notes.write_text("no image")
    dock.open_path(notes)
    qtbot.waitUntil(dock.notice.isVisible, timeout=10_000)
    assert "notes.txt" in dock.notice.text.text()
    assert "Traceback" not in dock.notice.text.text()
    click(dock.notice.copy_button)
    assert "Traceback" in QGuiApplication.clipboard().text()
    click(dock.notice.close_button)
    assert not dock.notice.isVisible()


def test_the_sample_is_written_and_opened(
    dock: ScansDock, qtbot: Any, click: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scanlearn.phantom import sample

    whole = sample.write_sample

    def small(folder: Path, **settings: Any) -> Path:
        return whole(folder, scans=2, spacing_mm=(20.0, 10.0, 10.0), **settings)

    monkeypatch.setattr(sample, "write_sample", small)
    click(dock.opener.sample_button)
    qtbot.waitUntil(lambda: dock.list.count() == 2, timeout=20_000)
    assert dock.opener.sample_button.isEnabled()
    assert dock.form.name.text() == "sample-scans"


@pytest.mark.parametrize("open_dock", ["menu", "script"], indirect=True)
def test_windows_and_views(
    dock: ScansDock, scans_folder: Path, qtbot: Any, click: Any
) -> None:
    series = next(scans_folder.rglob("*.dcm")).parent
    dock.open_path(series)
    qtbot.waitUntil(lambda: dock.list.count() == 1, timeout=10_000)
    click(dock.add_button)
    viewer = dock.viewer
    # Its middle slice comes first.
    whole = lambda: len(viewer.layers) == 1 and not dock.reader.busy  # noqa: E731
    qtbot.waitUntil(whole, timeout=20_000)
    assert dock.windows.currentText() == "lung (-600, 1500 HU)"
    dock.windows.setCurrentIndex(dock.windows.findText("mediastinum (40, 400 HU)"))
    assert viewer.layers[0].contrast_limits == [-160.0, 240.0]
    qtbot.waitUntil(
        lambda: "scanlearn_top_center" in viewer.canvas.overlays, timeout=10_000
    )
    assert letters(viewer) == ["A", "P", "R", "L"]
    dock.views.setCurrentText("Coronal")
    assert letters(viewer) == ["S", "I", "R", "L"]
    assert viewer.scene.camera.orientation2d[0] == "up"
    dock.views.setCurrentText("Sagittal")
    assert letters(viewer) == ["S", "I", "A", "P"]
    viewer.dims.ndisplay = 3
    assert dock.views.currentText() == "3D"
    assert dock.windows.currentText() == "450, 700 HU"
    assert viewer.scene.camera.orientation == ("away", "down", "right")
    assert viewer.layers[0].contrast_limits == [100.0, 800.0]  # bones, not skin
    viewer.dims.ndisplay = 2
    assert viewer.layers[0].contrast_limits == [-160.0, 240.0]
    assert dock.views.currentText() == "Sagittal"
    assert dock.windows.currentText() == "mediastinum (40, 400 HU)"
    # What is changed in napari's own controls is said, too.
    viewer.dims.order = (0, 1, 2)
    assert dock.views.currentText() == "Axial"
    dock.views.setCurrentText("Coronal")
    viewer.dims.order = (0, 2, 1)
    assert dock.views.currentText() == "Another view"
    viewer.layers[0].contrast_limits = (-100.0, 100.0)
    assert dock.windows.currentText() == "0, 200 HU"
    viewer.layers.clear()
    assert dock.windows.currentText() == "Window…"
    assert letters(viewer) == ["", "", "", ""]


def test_a_radiograph_has_no_letters(
    dock: ScansDock, tmp_path: Path, qtbot: Any, click: Any
) -> None:
    """A picture does not tell which way it lies: a letter could name the wrong side."""
    image = make_radiograph(1, 2)
    dock.open_path(write_png(tmp_path / "chest.png", image))
    qtbot.waitUntil(lambda: dock.list.count() == 1, timeout=10_000)
    click(dock.add_button)
    viewer = dock.viewer
    qtbot.waitUntil(lambda: len(viewer.layers) == 1, timeout=20_000)
    qtbot.waitUntil(
        lambda: "scanlearn_top_center" in viewer.canvas.overlays, timeout=10_000
    )
    assert letters(viewer) == ["", "", "", ""]
    # Nor how large it is: a bar of millimetres would lie.
    assert not viewer.canvas.overlays["scale_bar"].visible
    assert "mm" not in dock.list.text(0)
    assert f"{image.pixels.shape[1]}×{image.pixels.shape[0]} pixels" in dock.list.text(
        0
    )
    assert viewer.layers[0].name.endswith(" · chest")
    viewer.layers.clear()
    assert viewer.canvas.overlays["scale_bar"].visible


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (["L", "F"], ["S", "I", "R", "L"]),  # seen from the front, the head up
        (["R", "F"], ["S", "I", "L", "R"]),  # the same mirrored: the letters say so
        (["P", "F"], ["S", "I", "A", "P"]),  # from the side
        (["HL", "LF"], ["R", "L", "I", "S"]),  # lying; the first letters count
        (["L"], ["", "", "", ""]),
        (None, ["", "", "", ""]),
    ],
)
def test_a_radiograph_shows_the_letters_of_its_file(
    open_dock: Any, tmp_path: Path, said: list[str] | None, shown: list[str]
) -> None:
    path = write_dicom_radiograph(tmp_path / "a.dcm", make_radiograph(1, 2))
    file = pydicom.dcmread(path)
    file.PatientOrientation = said
    file.save_as(path)
    viewer = open_dock(ScansDock).viewer
    data, settings, _ = read_entry(find_scans(tmp_path)[0])
    viewer.add_image(data, **settings)
    show_orientation(viewer)
    assert letters(viewer) == shown
    viewer.dims.order = (0, 2, 1)  # turned over its diagonal: so are the letters
    top, bottom, left, right = shown
    assert letters(viewer) == [left, right, top, bottom]
    volume = nib.Nifti1Image(np.zeros((6, 5, 4), np.int16), np.eye(4))
    nib.save(volume, tmp_path / "b.nii")
    data, settings, _ = read_entry(find_scans(tmp_path / "b.nii")[0])
    viewer.add_image(data, **settings)
    assert letters(viewer) == ["", "", "", ""]  # each would have letters of its own
    viewer.layers.clear()


def letters(viewer: Any) -> list[str]:
    edges = ("top_center", "bottom_center", "middle_left", "middle_right")
    return [viewer.canvas.overlays[f"scanlearn_{edge}"].text for edge in edges]


def test_a_volume_of_a_4d_file_is_chosen(
    dock: ScansDock, tmp_path: Path, qtbot: Any, click: Any
) -> None:
    voxels = np.arange(6 * 5 * 4 * 3, dtype=np.int16).reshape(6, 5, 4, 3)
    nib.save(
        nib.Nifti1Image(voxels, np.diag([-2.0, -2.0, 3.0, 1.0])), tmp_path / "a.nii"
    )
    dock.open_path(tmp_path / "a.nii")
    qtbot.waitUntil(lambda: dock.list.count() == 1, timeout=10_000)
    dock.list.select_rows([0])
    assert dock.volume.isVisible()
    assert dock.volume.total.text() == "of 3"
    dock.volume.number.setValue(2)
    click(dock.add_button)
    qtbot.waitUntil(lambda: len(dock.viewer.layers) == 1, timeout=10_000)
    shown = np.asarray(dock.viewer.layers[0].data)
    assert sorted(shown.ravel()) == sorted(voxels[..., 2].ravel())
