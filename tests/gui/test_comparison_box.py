"""Was pre-training worth it? Asked in the Runs dock, answered with a curve."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from scanlearn.gui.runs.dock import RunsDock

pytestmark = pytest.mark.viewer
SCRIPT = Path(__file__).parent / "small_compare.py"


@pytest.fixture
def box(open_dock, qtbot, make_run, monkeypatch):
    """Return the section of a Runs dock with a fine-tuned run selected."""
    real = subprocess.Popen
    monkeypatch.setattr(
        "scanlearn.runs.jobs.subprocess.Popen",
        lambda command, **settings: real(
            [sys.executable, str(SCRIPT), *command[3:]], **settings
        ),
    )
    start = make_run("pretraining")
    run = make_run("lungs", kind="finetune", start_from=start.path)
    dock = open_dock(RunsDock)
    qtbot.waitUntil(lambda: dock.table.rowCount() == 2, timeout=10_000)
    dock.show_run(start.path)
    assert not dock.comparison.isVisible()
    dock.show_run(run.path)
    qtbot.waitUntil(lambda: dock.comparison.isVisible(), timeout=10_000)
    return dock.comparison


def test_an_answer_is_shown_and_found_again(box, qtbot, click) -> None:
    box.budgets.setText("1, 2")
    box.repeats.setValue(3)
    assert not box.picture.isVisible()
    click(box.compare_button)
    qtbot.waitUntil(lambda: box.picture.isVisible(), timeout=30_000)
    assert box.picture.caption.text().startswith("1 labelled patient with pre-training")
    assert box.compare_button.isEnabled()
    folder = box._folder()
    words = json.loads((folder / "words.json").read_text())
    assert words[0] == "compare"
    assert words[words.index("--task") + 1] == "segmentation"
    assert words[words.index("--from") + 1].endswith("pretraining")
    assert words[words.index("--labels") + 1].endswith("inputs")
    assert words[words.index("--budgets") + 1] == "1, 2"
    # Other settings are another comparison; the first is still there.
    box.repeats.setValue(4)
    assert not box.picture.isVisible()
    box.repeats.setValue(3)
    assert box.picture.isVisible()


def test_what_goes_wrong_is_told(box, qtbot, click) -> None:
    box._folder().mkdir(parents=True)  # in the way
    click(box.compare_button)
    qtbot.waitUntil(lambda: box.notice.isVisible(), timeout=30_000)
    assert box.compare_button.isEnabled()
