"""``import scanlearn``: light, complete, and as its page shows it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import scanlearn
from scanlearn.errors import BadConfig, BadRun, ScanlearnError

PAGE = Path(__file__).parents[2] / "docs" / "python.md"


def test_importing_it_imports_neither_torch_nor_napari() -> None:
    code = (
        "import scanlearn, sys; scanlearn.open_cohort, scanlearn.pretrain;"
        "assert not {'torch', 'napari', 'monai'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_rooms_do_not_hide_the_functions() -> None:
    """A room of a function's name would take its place once it is imported."""
    import scanlearn.cli
    import scanlearn.gui.workbench

    for name in set(scanlearn.__all__) - {"__version__"}:
        assert callable(getattr(scanlearn, name)), name
    assert set(scanlearn.__all__) == set(dir(scanlearn))
    with pytest.raises(AttributeError, match="no attribute 'divine'"):
        scanlearn.divine  # noqa: B018


@pytest.mark.slow
def test_every_block_of_the_page_runs(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.S):
        exec(compile(block, str(PAGE), "exec"), names)
    assert names["run"].state() == names["lungs"].state() == "finished"
    assert [p.scan for p in names["found"]] == ["PHANTOM-0002"]
    assert names["found"][0].labels.is_file()
    assert "dice" in names["scores"].mean
    assert names["verdict"].points
    assert "finished" in capsys.readouterr().out


def test_what_is_wrong_is_told(tmp_path, tiny_cohort, tiny_sample) -> None:
    with pytest.raises(BadConfig, match="no pre-training method 'divination'"):
        scanlearn.pretrain(tiny_cohort, method="divination")
    with pytest.raises(BadConfig, match="no preset 'fast'"):
        scanlearn.pretrain(tiny_cohort, preset="fast")
    with pytest.raises(BadRun, match="does not exist"):
        scanlearn.open_run(tmp_path / "none")
    with pytest.raises(ScanlearnError):
        scanlearn.open_cohort(tmp_path / "none").records()


def test_a_training_that_fails_is_told(tmp_path, tiny_cohort) -> None:
    settings = {"spacing_mm": None, "engine.device": "cuda"}
    with pytest.raises(BadRun, match=r"engine\.device"):
        scanlearn.pretrain(
            tiny_cohort, preset="quick", settings=settings, out=tmp_path / "run"
        )
