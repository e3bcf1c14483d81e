"""Scratch folders go with their widget, or with the program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from qtpy.QtWidgets import QWidget

from scanlearn.gui.kit.scratch_folder import scratch_folder

_ENDS_AT_ONCE = """
from qtpy.QtWidgets import QApplication, QWidget
from scanlearn.gui.kit.scratch_folder import scratch_folder
app, owner = QApplication([]), QWidget()
print(scratch_folder(owner, "test"))
"""


def test_a_folder_goes_with_its_widget(qtbot) -> None:
    owner = QWidget()
    folder = scratch_folder(owner, "test")
    (folder / "map.npy").write_bytes(b"voxels")
    with qtbot.waitSignal(owner.destroyed):
        owner.deleteLater()
    assert not folder.exists()


def test_a_folder_goes_with_the_program(qtbot) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ENDS_AT_ONCE],
        capture_output=True,
        text=True,
        check=True,
    )
    folder = Path(done.stdout.strip())
    assert folder.name.startswith("scanlearn-test-")
    assert not folder.exists()
