"""What label maps hold is shown before a training: class, files, voxels, remarks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from scanlearn.gui.train.finetune_dock import FinetuneDock

pytestmark = pytest.mark.viewer


def test_a_folder_of_masks_is_counted_as_soon_as_it_is_chosen(
    open_dock: Any, prepared: Path, small_launch: Any, scans_folder: Path, qtbot: Any
) -> None:
    dock = open_dock(FinetuneDock)
    dock.cohorts.open(prepared)
    panel = dock.panel
    assert not panel.counts.isVisible()
    masks = next((scans_folder.parent / "labels").rglob("*lungs*"))
    folder = masks if masks.is_dir() else masks.parent
    panel.labels.add(folder)
    qtbot.waitUntil(lambda: panel.counts.table.rowCount() == 2, timeout=20_000)
    files = sorted(folder.glob("*.nii.gz"))
    for row in range(2):
        cells = [panel.counts.table.item(row, column) for column in range(3)]
        voxels = sum(
            np.count_nonzero(np.asarray(nib.load(file).dataobj) == row + 1)
            for file in files
        )
        assert [cell.text() for cell in cells] == [
            f"class {row + 1}",
            f"{len(files)} of {len(files)}",
            f"{voxels:,}",
        ]
    assert "background" in panel.counts.about.text()


def test_labels_that_fit_no_scan_are_told_at_once(
    open_dock: Any, prepared: Path, small_launch: Any, tmp_path: Path, qtbot: Any
) -> None:
    dock = open_dock(FinetuneDock)
    dock.cohorts.open(prepared)
    nib.save(
        nib.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.eye(4)), tmp_path / "a.nii"
    )
    dock.panel.labels.add(tmp_path)
    about = dock.panel.counts.about
    qtbot.waitUntil(lambda: "name of a scan" in about.text(), timeout=20_000)
    assert not dock.panel.counts.table.isVisible()
