"""Remarks, exclusions, uneven slices and long lists in the Scans dock."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from napari.layers import Labels
from qtpy.QtCore import QEvent, QMimeData, QPointF, Qt
from qtpy.QtGui import QDragEnterEvent, QDropEvent
from qtpy.QtWidgets import QApplication, QWidget

from scanlearn.cohort.catalogue import Cohort
from scanlearn.gui.scans.dock import ScansDock
from scanlearn.gui.scans.exclusion import known_in
from scanlearn.gui.scans.listed_scan import ListedScan
from scanlearn.gui.scans.scan_list import DRAGGED, ScanList
from scanlearn.gui.viewer.layers import grid_of, origin_of
from scanlearn.scans.find import find_scans
from scanlearn.scans.scan import Problem

pytestmark = pytest.mark.viewer


@pytest.fixture(scope="module")
def folder(
    write_ct: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a whole scan, a copy of it under another name, and one with a gap."""
    where = tmp_path_factory.mktemp("three")
    write_ct(where / "a", "a")
    write_ct(where / "b", "b", noise="a")
    write_ct(where / "gap", "gap", heights=np.delete(np.arange(30) * 5.0, [11]))
    return where


@pytest.fixture
def dock(open_dock: Any, folder: Path, qtbot: Any) -> ScansDock:
    dock = open_dock(ScansDock)
    dock.open_path(folder)
    qtbot.waitUntil(lambda: dock.list.count() == 3, timeout=20_000)
    return dock


def test_remarks_are_listed_and_lead_to_their_scans(
    dock: ScansDock, qtbot: Any, click: Any
) -> None:
    assert dock.summary.text() == "3 scans · 1 with errors"
    assert not dock.checks.table.isVisible()
    assert dock.checks.head.text().startswith("▸ Checks")
    click(dock.checks.head)
    assert dock.checks.head.text().startswith("▾ Checks")
    assert dock.list.chosen_rows() == [0]
    dock.checks.table.selectRow(0)
    assert [entry.path.name for entry in dock.list.chosen()] == ["gap"]
    said = dock.checks.table.model().index(0, 2).data()
    assert "1 slice is missing" in said

    with qtbot.waitSignal(dock.checks.checked, timeout=120_000):
        click(dock.checks.read_button)
    # No atlas is made for lungs drawn as two ellipses.
    assert dock.summary.text() == "3 scans · 1 with errors · 2 warnings"
    assert "▲" in dock.list.text(1)
    assert "same voxels" in dock.list.text(1)
    assert not dock.notice.isVisible()


def test_scans_are_excluded_and_included_with_a_reason(
    dock: ScansDock, qtbot: Any, click: Any, places: SimpleNamespace
) -> None:
    dock.list.select_rows([1])
    click(dock.checks.head)
    dock.checks.reason.setText("a copy")
    click(dock.exclude_button)
    assert dock.summary.text() == "3 scans · 1 with errors · 1 excluded"
    assert "excluded: a copy" in dock.list.text(1)
    assert dock.exclude_button.text() == "Include again"

    dock.form.name.clear()
    qtbot.keyClicks(dock.form.name, "chests")
    dock.form.spacing.setValue(8.0)
    assert dock.form.uneven_row.isVisible()
    dock.form.uneven.setCurrentIndex(dock.form.uneven.findData("resample"))
    with qtbot.waitSignal(dock.form.prepared, timeout=120_000):
        click(dock.form.button)
    cohort = places.cohorts / "chests"
    assert not dock.notice.isVisible(), dock.notice.text.text()
    reasons = [r.excluded for r in Cohort(cohort).records(excluded=True)]
    assert sorted(reasons) == ["", "", "a copy"]
    assert "a copy" in (cohort / "catalogue.csv").read_text()
    assert "holds 2 scans" in dock.news.text()

    # A cohort that is prepared already learns of it at once, several scans together.
    qtbot.waitUntil(dock.exclude_button.isEnabled, timeout=30_000)
    click(dock.exclude_button)
    qtbot.waitUntil(lambda: len(Cohort(cohort)) == 3, timeout=30_000)
    # What the cohort knows of the fit of atlases comes a moment after it.
    first = [lambda n=n: dock.list.scans[n].problems[:1] for n in (0, 2)]
    qtbot.waitUntil(
        lambda: any(p.code == "registration" for found in first for p in found()),
        timeout=30_000,
    )
    dock.list.select_rows([0, 2])
    dock.checks.reason.clear()
    click(dock.exclude_button)
    qtbot.waitUntil(lambda: len(Cohort(cohort)) == 1, timeout=30_000)
    reasons = {r.excluded for r in Cohort(cohort).records(excluded=True)}
    assert any("default atlas" in reason for reason in reasons)
    assert any("1 slice is missing" in reason for reason in reasons)

    # Opened again, the folder shows what its cohort leaves out.
    dock.open_path(dock._path)
    qtbot.waitUntil(lambda: "2 excluded" in dock.summary.text(), timeout=20_000)


def test_a_scan_that_is_refused_at_prepare_is_named(
    dock: ScansDock, qtbot: Any, click: Any
) -> None:
    dock.form.name.setText("two")
    dock.form.spacing.setValue(8.0)
    with qtbot.waitSignal(dock.form.prepared, timeout=120_000):
        click(dock.form.button)
    assert dock.notice.isVisible()
    assert "1 scan was not prepared" in dock.notice.text.text()
    assert "1 slice is missing" in dock.notice.text.text()


def test_missing_slices_are_filled_in_only_when_that_is_chosen(
    dock: ScansDock, qtbot: Any, click: Any
) -> None:
    dock.list.select_rows([2])
    click(dock.add_button)
    assert "1 slice is missing" in dock.notice.text.text()
    assert len(dock.viewer.layers) == 0
    click(dock.notice.action_button)
    qtbot.waitUntil(lambda: whole(dock), timeout=20_000)
    layer = dock.viewer.layers[0]
    assert layer.data.shape[0] == 30
    origin = origin_of(layer)
    assert origin is not None
    assert origin.on_uneven == "resample"


def test_the_middle_slice_is_shown_before_the_whole(
    dock: ScansDock, qtbot: Any, click: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scanlearn.gui.scans import scan_reader as reading

    go_on = threading.Event()
    whole_of = reading.read_entry

    def slowly(*arguments: Any, **settings: Any) -> Any:
        go_on.wait(30)
        return whole_of(*arguments, **settings)

    monkeypatch.setattr(reading, "read_entry", slowly)
    layers = dock.viewer.layers
    click(dock.add_button)
    qtbot.waitUntil(lambda: len(layers) == 1, timeout=20_000)
    layer = layers[0]
    assert layer.data.shape == (1, 66, 66)
    assert dock.progress.isVisible()
    early = np.array(layer.data[0])
    place = grid_of(layer).to_patient((0, 0, 0))
    go_on.set()
    qtbot.waitUntil(lambda: whole(dock), timeout=20_000)
    assert list(layers) == [layer]
    assert layer.data.shape == (30, 66, 66)
    index = grid_of(layer).to_index(place)
    assert np.allclose(index, np.rint(index))
    assert np.array_equal(layer.data[round(index[0])], early)
    assert not dock.progress.isVisible()


def test_reading_is_cancelled(
    dock: ScansDock, qtbot: Any, click: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scanlearn.gui.scans import scan_reader as reading

    go_on, layers = threading.Event(), dock.viewer.layers
    monkeypatch.setattr(reading, "read_entry", lambda *_, **__: go_on.wait(30))
    dock.list.select_rows([0, 1])
    click(dock.add_button)
    qtbot.waitUntil(lambda: len(layers) == 1, timeout=20_000)
    click(dock.progress.cancel_button)
    assert len(layers) == 0  # a lone slice is no scan
    assert not dock.progress.isVisible()
    go_on.set()
    qtbot.wait(300)
    assert len(layers) == 0
    assert not dock.notice.isVisible()
    assert dock.add_button.isEnabled()


def test_a_search_is_cancelled(
    dock: ScansDock, qtbot: Any, click: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    def endless(_path: Path, *, progress: Callable[[int, int], None]) -> None:
        try:
            for n in range(10_000_000):
                progress(n, 10_000_000)
        finally:
            ended.set()

    monkeypatch.setattr("scanlearn.scans.find.find_scans", endless)
    dock.open_path(Path("somewhere"))
    qtbot.waitUntil(lambda: dock.progress.bar.maximum() > 0, timeout=30_000)
    click(dock.progress.cancel_button)
    qtbot.waitUntil(ended.is_set, timeout=30_000)
    assert dock.welcome.isVisible()
    assert not dock.notice.isVisible()


def test_scans_are_dragged_onto_the_canvas(dock: ScansDock, qtbot: Any) -> None:
    dock.list.select_rows([0])
    model = dock.list.model()
    mime = model.mimeData(dock.list.selectedIndexes())
    canvas = next(
        child
        for child in dock.window().findChildren(QWidget)
        if type(child).__name__ == "QtViewer"
    )
    assert dropped(canvas, mime)
    qtbot.waitUntil(lambda: whole(dock), timeout=20_000)
    other = QMimeData()
    other.setText("words")
    assert not dropped(canvas, other)
    qtbot.wait(100)
    assert len(dock.viewer.layers) == 1


def test_two_thousand_scans_draw_only_what_is_in_sight(
    folder: Path, qtbot: Any
) -> None:
    entry = next(e for e in find_scans(folder) if e.path.name == "a")
    scans = [
        ListedScan(replace(entry, series_uid=str(n)), f"P-{n:010d}")
        for n in range(2000)
    ]
    view = ScanList()
    qtbot.addWidget(view)
    view.resize(360, 400)
    view.show()
    asked: list[list[int]] = []
    view.pictures_wanted.connect(lambda: asked.append(view.rows_in_sight()))
    view.show_scans(scans)
    qtbot.waitUntil(lambda: bool(asked), timeout=30_000)
    before = len(view.findChildren(QWidget))
    assert 0 in asked[-1]
    assert len(asked[-1]) < 30
    asked.clear()
    view.select_rows([1500])
    qtbot.waitUntil(lambda: bool(asked), timeout=30_000)
    assert 1500 in asked[-1]
    assert len(asked[-1]) < 30
    view.selectAll()
    assert len(view.chosen()) == 2000
    assert len(view.findChildren(QWidget)) == before
    assert DRAGGED in view.model().mimeData(view.selectedIndexes()).formats()


def whole(dock: ScansDock) -> bool:
    layers = dock.viewer.layers
    return len(layers) == 1 and len(layers[0].data) > 1 and not dock.reader.busy


def dropped(canvas: QWidget, mime: QMimeData) -> bool:
    """Drag something over a canvas, drop it, and say whether ours was taken."""
    middle = canvas.rect().center()
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    copy = Qt.DropAction.CopyAction
    enter = QDragEnterEvent(middle, copy, mime, buttons, keys)
    enter.ignore()
    QApplication.sendEvent(canvas, enter)
    if not (enter.isAccepted() and mime.hasFormat(DRAGGED)):
        return False
    drop = QDropEvent(QPointF(middle), copy, mime, buttons, keys, QEvent.Type.Drop)
    QApplication.sendEvent(canvas, drop)
    return drop.isAccepted()


def test_a_cohort_tells_which_scans_its_atlas_does_not_fit(
    dock: ScansDock, tiny_cohort: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_cohort, tmp_path / "cohort"))
    bad = sorted(folder.glob("placements/*/*.json"))[0]
    for kept in folder.glob(f"placements/*/{bad.name}"):
        content = json.loads(kept.read_text())
        content["fit"] |= {"usable": False, "problems": ["a test"]}
        kept.write_text(json.dumps(content))
    found = known_in(folder)
    source = Cohort(folder).sources()[bad.stem]
    assert [one for one, known in found.items() if known.registration] == [source]
    listed = replace(dock.list.scans[0], problems=(Problem("x", "note", "a note"),))
    told = found[source].told_of(listed)
    assert [p.code for p in told.problems][-1] == "x"
    assert told.severity == "warning"
    assert found[source].told_of(told) == told  # asked again, it is told once
    assert known_in(tmp_path / "nothing") == {}


def test_a_file_that_breaks_off_is_marked_and_explained(
    open_dock: Any, tmp_path: Path, qtbot: Any
) -> None:
    """Noise does not compress: the middle slice lies beyond the cut."""
    voxels = np.random.default_rng(0).integers(0, 4000, (40, 40, 12), np.int16)
    whole = tmp_path / "whole.nii.gz"
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), whole)
    (tmp_path / "cut.nii.gz").write_bytes(whole.read_bytes()[:9000])
    dock = open_dock(ScansDock)
    dock.open_path(tmp_path)
    qtbot.waitUntil(lambda: dock.list.count() == 2, timeout=10_000)
    names = [entry.path.name for entry in dock.list.entries]
    cut = names.index("cut.nii.gz")
    said = "The file is cut short or damaged"
    qtbot.waitUntil(lambda: said in dock.list.text(cut), timeout=10_000)
    assert dock.list.text(cut).startswith("✕")
    assert "cut.nii.gz" in dock.list.text(cut)  # nothing but its name tells it apart
    assert not dock.list.text(1 - cut).startswith("✕")
    assert not dock.notice.isVisible(), dock.notice.text.text()
    assert "1 with errors" in dock.summary.text()
    assert said in dock.checks.table.model().index(0, 2).data()


def test_a_file_that_breaks_off_beyond_its_middle_is_marked(
    open_dock: Any, tmp_path: Path, qtbot: Any
) -> None:
    voxels = np.random.default_rng(0).integers(0, 4000, (40, 40, 12), np.int16)
    whole = tmp_path / "whole.nii.gz"
    nib.save(nib.Nifti1Image(voxels, np.eye(4)), whole)
    content = whole.read_bytes()
    (tmp_path / "late.nii.gz").write_bytes(content[: int(0.9 * len(content))])
    dock = open_dock(ScansDock)
    dock.open_path(tmp_path)
    qtbot.waitUntil(lambda: "1 with errors" in dock.summary.text(), timeout=20_000)
    assert dock.list.text(0).startswith("✕")
    assert "late.nii.gz" in dock.list.text(0)
    assert not dock.list.text(1).startswith("✕")


def test_masks_among_scans_are_no_scans(
    open_dock: Any, tmp_path: Path, qtbot: Any, click: Any, places: SimpleNamespace
) -> None:
    """One is told by its name, one by its voxels alone."""
    voxels = np.random.default_rng(0).integers(0, 400, (20, 24, 22), np.int16)
    mask = np.zeros(voxels.shape, np.uint8)
    mask[5:9, 6:12, 7:15] = 2
    (tmp_path / "drawn").mkdir()
    for name, content in (
        ("one", voxels),
        ("one_mask", mask),
        ("two", voxels + 1),
        ("drawn/two", mask),
    ):
        nib.save(nib.Nifti1Image(content, np.eye(4)), tmp_path / f"{name}.nii.gz")
    dock = open_dock(ScansDock)
    dock.open_path(tmp_path)
    told = lambda: dock.summary.text() == "2 scans · 2 label maps"  # noqa: E731
    qtbot.waitUntil(told, timeout=20_000)
    rows = {
        e.path.relative_to(tmp_path).as_posix(): n
        for n, e in enumerate(dock.list.entries)
    }
    masks = [rows["one_mask.nii.gz"], rows["drawn/two.nii.gz"]]
    texts = [dock.list.text(n) for n in masks]
    assert "▦ one_mask.nii.gz\nA label map of one.nii.gz" in texts[0]
    assert "▦ two.nii.gz\nA label map of two.nii.gz" in texts[1]

    dock.add_rows([masks[0], rows["one.nii.gz"]])
    layers = dock.viewer.layers
    qtbot.waitUntil(lambda: len(layers) == 2 and not dock.reader.busy, timeout=20_000)
    assert layers[0].name.endswith(" · one")
    assert isinstance(layers[1], Labels)
    assert np.count_nonzero(layers[1].data) == np.count_nonzero(mask)

    with qtbot.waitSignal(dock.form.prepared, timeout=120_000):
        click(dock.form.button)
    assert dock.state.cohort is not None
    assert len(Cohort(dock.state.cohort)) == 2


def test_what_is_found_is_told_whole_and_the_worst_first(
    dock: ScansDock, click: Any
) -> None:
    problems = (
        Problem(
            "tilt", "warning", "the gantry was tilted by 14.0 degrees; a grid", "Do"
        ),
        Problem("few-slices", "warning", "Only 4 slices: too few.", "Look at it."),
    )
    scans = [replace(scan, problems=problems) for scan in dock.list.scans]
    dock._show_scans(scans)
    remark = dock.list.text(0).splitlines()[-1]
    assert remark == "The gantry was tilted by 14.0 degrees (+1)"
    tip = dock.list.model().data(
        dock.list.model().index(0), Qt.ItemDataRole.ToolTipRole
    )
    assert "Only 4 slices: too few. Look at it." in tip
    click(dock.checks.head)
    table = dock.checks.table
    assert table.model().rowCount() == 2  # shared remarks are told once
    assert table.model().index(0, 1).data() == "3 scans"
    table.selectRow(1)
    assert dock.list.chosen_rows() == [0, 1, 2]
    words = table.model().index(0, 2).data()
    assert words == "The gantry was tilted by 14.0 degrees; a grid. Do"
    QApplication.processEvents()
    room = table.columnWidth(2) - 8
    needed = table.fontMetrics().boundingRect(
        0, 0, room, 1000, Qt.TextFlag.TextWordWrap, words
    )
    assert table.rowHeight(0) >= needed.height()
