"""Where runs and cohorts are kept, as set in napari's preferences."""

from __future__ import annotations

import os
from pathlib import Path

PLUGIN = "napari-scanlearn"


def runs_folder() -> Path:
    """Return the folder of runs: ``SCANLEARN_RUNS``, else the plugin's setting."""
    return _folder("SCANLEARN_RUNS", "runs_folder", "~/scanlearn/runs")


def cohorts_folder() -> Path:
    """Return the folder of cohorts: ``SCANLEARN_COHORTS``, else the setting."""
    return _folder("SCANLEARN_COHORTS", "cohorts_folder", "~/scanlearn/cohorts")


def results_folder() -> Path:
    """Return the folder of predictions that are kept, beside the runs."""
    return runs_folder().parent / "results"


def sample_folder() -> Path:
    """Return where the sample scans are written."""
    return cohorts_folder().parent / "sample-scans"


def sample_scans_folder() -> Path:
    """Return where the scan of napari's *Open Sample* is written."""
    return cohorts_folder().parent / "sample-viewer"


def under_home(path: Path) -> str:
    """Return a path as people read it: ``~/scanlearn/runs``."""
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)


def _folder(variable: str, setting: str, default: str) -> Path:
    text = os.environ.get(variable) or _setting(setting) or default
    return Path(text).expanduser().absolute()


def _setting(name: str) -> str:
    from napari.settings import get_plugin_settings

    try:
        folders = get_plugin_settings(PLUGIN).folders
    except (KeyError, AttributeError):
        return ""  # the plugin is imported, but not installed in this napari
    return str(getattr(folders, name, ""))
