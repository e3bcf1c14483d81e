"""Changing the settings of a run between two of its workers."""

from __future__ import annotations

from typing import Any

from scanlearn.config.run import merge, parse_run_config, to_yaml
from scanlearn.errors import BadConfig, BadRun
from scanlearn.files import write_text
from scanlearn.runs.events import Message
from scanlearn.runs.folder import EventLog, RunFolder

#: How it is trained from here on; the rest is part of what was learned so far.
_FREE = {
    "recipe": {
        "optimiser": ("learning_rate", "weight_decay", "momentum", "warmup", "schedule")
    },
    "engine": (
        *("minutes", "clip_norm", "device", "precision", "threads", "workers"),
        *("log_every", "save_every", "validate_every"),
    ),
}


def amend(run: RunFolder, changes: dict[str, Any]) -> None:
    """Change settings of a run that nobody trains; its story tells them.

    Parameters
    ----------
    run
        The run.
    changes
        Nested settings, as ``-s`` gives them.

    Raises
    ------
    BadConfig
        If there is no such setting, or it cannot be changed any more.
    BadRun
        If the run is being trained.
    """
    if run.is_alive():
        raise BadRun(f"{run.name} is being trained", next_step="Stop it first")
    before = run.config().model_dump(mode="json")
    config = parse_run_config(merge(before, changes))
    told = [
        f"{name.removeprefix('recipe.')} is {new}, it was {old}"
        for name, old, new in _changed(before, config.model_dump(mode="json"), _FREE)
    ]
    if not told:
        return
    write_text(run.path / "config.yaml", to_yaml(config))
    log = EventLog(run)
    log.write(Message(text=f"From here on: {'; '.join(told)}."))
    log.close()


def _changed(
    before: dict[str, Any], after: dict[str, Any], free: Any, inside: str = ""
) -> list[tuple[str, Any, Any]]:
    """Return the name, old and new value of each setting that differs."""
    found: list[tuple[str, Any, Any]] = []
    for key, new in after.items():
        name, old = f"{inside}{key}", before.get(key)
        if isinstance(new, dict) and isinstance(old, dict):
            deeper = free.get(key, ()) if isinstance(free, dict) else ()
            found += _changed(old, new, deeper, f"{name}.")
        elif old != new:
            if key not in free:
                raise BadConfig(
                    f"'{name.removeprefix('recipe.')}' is part of what was learned",
                    expected="settings of the optimiser or of how it is run",
                    next_step="Start a new run for another value",
                )
            found.append((name, old, new))
    return found
