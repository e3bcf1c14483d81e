"""What the docks remember over a restart: folder, cohort, masks and class names.

It names folders of scans, so it lies in the user's settings, like the salt.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from scanlearn.cohort.keys import settings_folder
from scanlearn.files import write_text


def remembered() -> dict[str, Any]:
    """Return what was noted; empty the first time, or where it cannot be read."""
    try:
        return dict(json.loads(_file().read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def remember(**facts: Any) -> None:
    """Note facts that JSON can hold; what cannot be written is not remembered."""
    before = remembered()
    if {**before, **facts} == before:
        return
    try:
        write_text(_file(), json.dumps({**before, **facts}, indent=1))
    except OSError:
        return  # settings that may not be written: the docks work all the same


def remembered_folder(name: str) -> Path | None:
    """Return a folder or file that was noted, if it is still there."""
    noted = remembered().get(name)
    path = Path(noted) if isinstance(noted, str) and noted else None
    return path if path is not None and path.exists() else None


def remembered_of(cohort: Path) -> dict[str, Any]:
    """Return what was noted of a cohort's labels."""
    found = remembered().get("cohorts", {}).get(str(cohort), {})
    return found if isinstance(found, dict) else {}


def remember_of(cohort: Path, **facts: Any) -> None:
    """Note facts of a cohort's labels."""
    cohorts = remembered().get("cohorts", {})
    mine = {**remembered_of(cohort), **facts}
    remember(cohorts={**cohorts, str(cohort): mine})


def _file() -> Path:
    return settings_folder() / "session.json"
