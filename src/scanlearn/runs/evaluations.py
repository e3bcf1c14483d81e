"""The scores that a run was given, kept beside it: ``evaluations/NUMBER.json``.

Only the summaries are kept; what was found of each scan stays with who asked.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from scanlearn.files import write_text
from scanlearn.runs.folder import RunFolder

_FOLDER = "evaluations"


def keep_evaluation(run: RunFolder, found: dict[str, Any], *, cohort: str) -> Path:
    """Write an evaluation into its run, after those before it.

    Parameters
    ----------
    run
        Which was scored.
    found
        The evaluation as JSON takes it; its cases are left out.
    cohort
        Fingerprint of the scored cohort.
    """
    folder = run.path / _FOLDER
    number = len(kept_evaluations(run)) + 1
    kept = {name: value for name, value in found.items() if name not in _DROPPED}
    document = {"time": time.time(), "cohort": cohort, **kept}
    path = folder / f"{number:03}.json"
    write_text(path, json.dumps(document, indent=1, default=str))
    return path


#: One row a scan, and what only one task says.
_DROPPED = ("cases", "more", "run")


def kept_evaluations(run: RunFolder) -> list[dict[str, Any]]:
    """Return the evaluations of a run, oldest first; none where there are none."""
    files = sorted((run.path / _FOLDER).glob("*.json"))
    return [json.loads(file.read_text("utf-8")) for file in files]
