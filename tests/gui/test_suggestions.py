"""Which scans next?, in the Runs dock: told to the run that was asked, and opened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.gui.runs.dock import RunsDock
from scanlearn.gui.tasks.shared.scan_keys import scan_key_of
from scanlearn.gui.viewer.layers import origin_of

pytestmark = pytest.mark.viewer

SCRIPT = Path(__file__).parent / "small_suggest.py"


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that a small program waits for, which suggests instead."""
    real = subprocess.Popen

    def popen(command: list[str], **settings: Any) -> subprocess.Popen[str]:
        small = command[1:4] == ["-m", "scanlearn", "suggest"]
        script = [sys.executable, str(SCRIPT), *command[3:]]
        return real(script if small else command, **settings)

    monkeypatch.setattr("scanlearn.runs.jobs.subprocess.Popen", popen)
    file = tmp_path / "go"
    monkeypatch.setenv("SMALL_SUGGEST_GO", str(file))
    return file


@pytest.mark.parametrize("open_dock", ["script"], indirect=True)
def test_suggestions_stay_with_their_run_and_open_as_scans(
    open_dock: Any, make_finished: Any, prepared: Path, go: Path, click: Any, qtbot: Any
) -> None:
    asked = make_finished("2026-11-21_lungs", "finetune")
    other = make_finished("2026-11-22_lesions", "finetune")
    dock = open_dock(RunsDock)
    section = dock.suggestions
    qtbot.waitUntil(lambda: dock.table.rowCount() == 2, timeout=10_000)
    dock.table.choose(asked.path)
    click(section.suggest_button)
    assert section.job.label.text() == "Looking at unlabelled scans for lungs"
    dock.table.choose(other.path)
    assert section.suggest_button.toolTip() == "Scans are looked at for lungs"
    go.touch()
    qtbot.waitUntil(lambda: not section.job.busy, timeout=20_000)
    assert section.list.count() == 0
    dock.table.choose(asked.path)
    qtbot.waitUntil(lambda: section.list.count() > 0, timeout=20_000)
    cohort = Cohort(prepared)
    keys = cohort.keys()
    lines = [section.list.item(n).text() for n in range(section.list.count())]
    assert [line.split("\n")[1] for line in lines] == [*keys]
    assert all("· doubt 0.40" in line for line in lines)
    assert not section.list.item(0).icon().isNull()

    section.list.setCurrentRow(1)
    click(section.open_button)
    qtbot.waitUntil(lambda: len(dock.viewer.layers) == 1, timeout=20_000)
    image = dock.viewer.layers[0]
    assert scan_key_of(origin_of(image), image.name, cohort) == keys[1]
