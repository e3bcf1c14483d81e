"""Settings of a new cohort, its lung masks, and exclusions that outlive napari."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.prepare import PrepareConfig
from scanlearn.gui.scans.dock import ScansDock
from scanlearn.gui.scans.exclusion import remembered
from scanlearn.gui.scans.prepare_options import PrepareOptions

pytestmark = pytest.mark.viewer


def opened(open_dock: Any, folder: Path, qtbot: Any) -> ScansDock:
    dock = open_dock(ScansDock)
    dock.open_path(folder)
    qtbot.waitUntil(lambda: dock.list.count() == 2, timeout=20_000)
    return dock


def number_of(dock: ScansDock, suffix: str) -> int:
    names = [entry.path.name for entry in dock.list.entries]
    (line,) = (n for n, name in enumerate(names) if name.endswith(suffix))
    return line


def test_advanced_settings_and_the_lung_masks_they_lead_to(
    open_dock: Any,
    scans_folder: Path,
    places: SimpleNamespace,
    tmp_path: Path,
    qtbot: Any,
    click: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A mask of one's own: two blocks where the lungs are not.
    scan = next(scans_folder.rglob("*.nii.gz"))
    image = nib.load(scan)
    values = np.zeros(image.shape, np.uint8)
    values[8:20, 20:30, 8:20] = 1
    values[40:50, 20:30, 8:20] = 2
    masks = tmp_path / "masks"
    masks.mkdir()
    nib.save(nib.Nifti1Image(values, image.affine), masks / scan.name)

    dock = opened(open_dock, scans_folder, qtbot)
    options = dock.form.options
    assert not options.crop.isVisible()
    assert not dock.lungs.isVisible()
    click(options.head)
    assert options.crop.isVisible()
    monkeypatch.setattr(
        "scanlearn.gui.scans.prepare_options.QFileDialog.getExistingDirectory",
        lambda *_: str(masks),
    )
    click(options.masks_button)
    options.crop.setCurrentIndex(options.crop.findData("body"))
    options.store.setCurrentIndex(options.store.findData("blosc2"))
    dock.form.spacing.setValue(6.0)
    dock.form.name.setText("mine")
    with qtbot.waitSignal(dock.form.prepared, timeout=120_000):
        click(dock.form.button)
    assert not dock.notice.isVisible(), dock.notice.text.text()
    cohort = Cohort(places.cohorts / "mine")
    config = cohort.settings.config
    assert (config.crop, config.store, config.spacing_mm) == ("body", "blosc2", 6.0)
    assert sorted(bool(record.lungs_hash) for record in cohort.records()) == [0, 1]

    # The masks are looked through; the arrows take the selection of the list along.
    qtbot.waitUntil(dock.lungs.picture.isVisible, timeout=20_000)
    dock.list.select_rows([0])
    told = {}
    told[0] = dock.lungs.picture.caption.text()
    assert not dock.lungs.before.isEnabled()
    click(dock.lungs.after)
    assert dock.list.chosen_rows() == [1]
    told[1] = dock.lungs.picture.caption.text()
    assert not dock.lungs.after.isEnabled()
    mine = number_of(dock, ".nii.gz")
    assert "given" in told[mine]
    assert "computed" in told[1 - mine]
    by_given = {bool(record.lungs_hash): record for record in cohort.records()}
    assert f"right {by_given[True].right_lung_ml:.0f} ml" in told[mine]
    assert dock.lungs.picture.picture.pixmap().width() == 300

    # Another folder is of other scans: their lungs are computed again.
    dock.open_path(scan)
    qtbot.waitUntil(lambda: dock.list.count() == 1, timeout=20_000)
    assert options.masks.text() == ""
    dock.form.name.setText("nobody")
    dock.form.name.editingFinished.emit()
    qtbot.waitUntil(lambda: not dock.lungs.isVisible(), timeout=20_000)


def test_settings_left_alone_are_the_cohorts_own(qtbot: Any) -> None:
    options = PrepareOptions()
    qtbot.addWidget(options)
    assert options.arguments() == []
    usual = PrepareConfig()
    assert options.crop.currentData() == usual.crop
    assert options.store.currentData() == usual.store
    options.radiograph_size.setValue(256)
    assert options.arguments() == ["--radiograph-size", "256"]


def test_exclusions_outlive_napari_and_are_prepared(
    open_dock: Any,
    scans_folder: Path,
    places: SimpleNamespace,
    qtbot: Any,
    click: Any,
) -> None:
    first = opened(open_dock, scans_folder, qtbot)
    line = number_of(first, ".nii.gz")
    first.list.select_rows([0, 1])
    first.checks.reason.setText("moved, twice")
    click(first.exclude_button)
    first.list.select_rows([1 - line])
    click(first.exclude_button)  # this one is used after all
    qtbot.waitUntil(lambda: len(remembered()) == 1, timeout=20_000)
    first.close()

    again = opened(open_dock, scans_folder, qtbot)
    qtbot.waitUntil(lambda: "1 excluded" in again.summary.text(), timeout=20_000)
    assert "excluded: moved, twice" in again.list.text(line)
    again.form.spacing.setValue(8.0)
    again.form.name.setText("later")
    with qtbot.waitSignal(again.form.prepared, timeout=120_000):
        click(again.form.button)
    cohort = Cohort(places.cohorts / "later")
    reasons = sorted(record.excluded for record in cohort.records(excluded=True))
    assert reasons == ["", "moved, twice"]

    # Where the cohort says otherwise since, it is the one to believe.
    for key in cohort.keys(excluded=True):
        cohort.include(key)
    again.form.name.editingFinished.emit()
    qtbot.waitUntil(lambda: "excluded" not in again.summary.text(), timeout=20_000)
