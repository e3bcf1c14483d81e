"""Small real scans, a small real cohort, and second processes instead of trainings."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from npe2 import PluginManifest

from scanlearn.config.run import parse_run_config
from scanlearn.runs.events import Finished, Started
from scanlearn.runs.folder import EventLog, RunFolder

HERE = Path(__file__).parent
MANIFEST = HERE.parents[1] / "napari.yaml"


@pytest.fixture(scope="session")
def scans_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with one DICOM series and one NIfTI file."""
    from scanlearn.phantom.sample import write_sample

    folder = tmp_path_factory.mktemp("phantoms") / "sample"
    write_sample(folder, scans=2, spacing_mm=(10.0, 6.0, 6.0))
    return folder / "scans"


@pytest.fixture(scope="session")
def prepared(scans_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cohort of these scans."""
    from scanlearn.cohort.preparation.prepare import prepare
    from scanlearn.config.prepare import PrepareConfig

    folder = tmp_path_factory.mktemp("prepared")
    cohort = folder / "cohorts" / "phantoms"
    before = os.environ.get("SCANLEARN_HOME")
    os.environ["SCANLEARN_HOME"] = str(folder / "home")
    try:
        prepare(scans_folder, cohort, PrepareConfig(spacing_mm=2.0, workers=0))
    finally:
        os.environ.pop("SCANLEARN_HOME")
        if before is not None:
            os.environ["SCANLEARN_HOME"] = before
    return cohort


@pytest.fixture(scope="session")
def detector(
    prepared: Path, scans_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a detector of two steps, that finds something everywhere."""
    from scanlearn.scans.find import find_scans
    from scanlearn.scans.read import read_scan

    folder = tmp_path_factory.mktemp("detector")
    run, labels = folder / "2026-11-21_nodules", folder / "nodules.csv"
    rows = ["path,x,y,z,diameter"]
    for entry in find_scans(scans_folder):
        x, y, z = read_scan(entry).grid.centre
        rows.append(f"{entry.path},{x},{y},{z},20")
    labels.write_text("\n".join(rows))
    command = [
        "finetune",
        str(prepared),
        "--task",
        "detection",
        "--labels",
        str(labels),
    ]
    settings = ("steps=2", "device=cpu", "precision=no", "threads=1")
    command += ["--from-scratch", "--preset", "quick", "--out", str(run)]
    for one in (*(f"engine.{text}" for text in settings), "recipe.least_score=0.0001"):
        command += ["-s", one]
    subprocess.run([sys.executable, "-m", "scanlearn", *command], check=True)
    return run


@pytest.fixture(autouse=True)
def nothing_painted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Take away what a test painted: all of them share the cohort."""
    yield
    if "prepared" in request.fixturenames:
        folder = request.getfixturevalue("prepared") / "painted"
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Give every test folders of its own and docks that know nothing yet."""
    from scanlearn.gui.shared.state import shared_state

    guard = "scanlearn.gui.tasks.segmentation.close_guard.close_anyway"
    monkeypatch.setattr(guard, lambda _layers: True)  # nobody answers
    runs, cohorts = tmp_path / "runs", tmp_path / "cohorts"
    monkeypatch.setenv("SCANLEARN_RUNS", str(runs))
    monkeypatch.setenv("SCANLEARN_COHORTS", str(cohorts))
    shared_state.cache_clear()
    return SimpleNamespace(runs=runs, cohorts=cohorts)


@pytest.fixture
def small_launch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Let docks launch the small worker instead of a training."""
    started: list[subprocess.Popen[bytes]] = []

    def launch(run: RunFolder) -> subprocess.Popen[bytes]:
        run.stop_file.unlink(missing_ok=True)
        command = [sys.executable, str(HERE / "small_worker.py"), str(run.path)]
        with run.log.open("ab") as log:
            worker = subprocess.Popen(command, stdout=log, stderr=log)
        started.append(worker)
        run.note_owner(psutil.Process(worker.pid))
        return worker

    for room in ("train.pretrain_dock", "train.finetune_launch", "runs.dock"):
        monkeypatch.setattr(f"scanlearn.gui.{room}.launch", launch)
    yield launch
    for worker in started:
        worker.kill()
        worker.wait()


@pytest.fixture
def small_predict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a small program predict instead of a network; all else is real."""
    real = subprocess.Popen

    def popen(command: list[str], **settings: Any) -> subprocess.Popen[str]:
        script = [sys.executable, str(HERE / "small_predict.py")]
        small = command[1:4] == ["-m", "scanlearn", "predict"]
        return real([*script, *command[3:]] if small else command, **settings)

    monkeypatch.setattr("scanlearn.runs.jobs.subprocess.Popen", popen)


@pytest.fixture
def make_run(places: SimpleNamespace, prepared: Path) -> Callable[..., RunFolder]:
    """Return a function that writes a run."""

    def make(name: str, kind: str = "pretrain", **facts: Any) -> RunFolder:
        recipe = {"pretrain": "drasclr", "finetune": "segmentation"}[kind]
        config = {"kind": kind, "recipe": {"name": recipe}, "cohorts": [str(prepared)]}
        config |= facts
        return RunFolder.create(places.runs / name, parse_run_config(config))

    return make


@pytest.fixture
def make_finished(make_run: Callable[..., RunFolder]) -> Callable[..., RunFolder]:
    """Return a function that writes a run as if its training had ended."""

    def make(name: str, kind: str, **facts: Any) -> RunFolder:
        run = make_run(name, kind, **facts)
        log = EventLog(run)
        log.write(Started(steps=1))
        log.write(Finished(step=1))
        log.close()
        (run.checkpoints / "last").mkdir()
        return run

    return make


@pytest.fixture
def open_dock(
    make_napari_viewer: Any, qtbot: Any, npe2pm: Any, request: pytest.FixtureRequest
) -> Callable[[type], Any]:
    """Return a function that opens a dock in a real viewer.

    As napari's menu does, which hands out the viewer itself; in a test that sets the
    parameter to ``"script"``, as scripts and ``napari -w`` do, which get a proxy of the
    viewer and of all that it returns.
    """
    by_script = getattr(request, "param", "menu") == "script"

    def open_it(kind: type) -> Any:
        viewer = make_napari_viewer(show=True)
        if not by_script:
            dock = kind(viewer)
            viewer.window.add_dock_widget(dock, area="right")
            return dock
        manifest = PluginManifest.from_file(MANIFEST)
        with suppress(ValueError):  # a test may open several
            npe2pm.register(manifest)
        title = _title(manifest, kind)
        _, dock = viewer.window.add_plugin_dock_widget(manifest.name, title)
        assert type(dock) is kind
        return dock

    return open_it


def _title(manifest: PluginManifest, kind: type) -> str:
    """Return what a dock is called in the manifest."""
    ours = f"{kind.__module__}:{kind.__name__}"
    named = {one.id: one.python_name for one in manifest.contributions.commands or []}
    widgets = manifest.contributions.widgets or []
    (title,) = [w.display_name for w in widgets if named[w.command] == ours]
    return title


@pytest.fixture
def click(qtbot: Any) -> Callable[[Any], None]:
    """Return a function that clicks a button as a user does; it must be enabled."""
    from qtpy.QtCore import Qt

    def press(button: Any) -> None:
        assert button.isEnabled(), f"{button.text()}: {button.toolTip()}"
        qtbot.mouseClick(button, Qt.MouseButton.LeftButton)

    return press
