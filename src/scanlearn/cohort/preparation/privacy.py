"""Keeping names and identifiers out of what leaves ``private/``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from scanlearn.scans.scan import Problem, ScanEntry

#: A shorter token could be any number of a sentence.
_SHORTEST = 3


def secrets_of(entry: ScanEntry) -> list[str]:
    """Return the texts that could tell who a scan is of: names of files, identity."""
    # The chunks of an OME-Zarr image are named by numbers, and there are many.
    paths = {entry.path} if entry.kind == "zarr" else {entry.path, *entry.files}
    tokens: set[str] = {entry.patient, entry.identity, entry.series_uid}
    for identity in (entry.patient, entry.identity):
        tokens.update(re.split(r"[\^|/\\\s]+", identity))
    for path in paths:
        tokens.update((str(path), path.name, path.name.split(".")[0], str(path.parent)))
    return sorted((t for t in tokens if len(t) >= _SHORTEST), key=len, reverse=True)


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """Return a text with every secret replaced by an ellipsis."""
    for secret in secrets:
        text = re.sub(
            rf"(?<!\w){re.escape(secret)}(?!\w)", "…", text, flags=re.IGNORECASE
        )
    return text


def scrubbed_problems(
    problems: Iterable[Problem], secrets: list[str]
) -> tuple[Problem, ...]:
    """Return problems without secrets in their texts."""
    return tuple(
        replace(
            problem,
            text=scrubbed(problem.text, secrets),
            action=scrubbed(problem.action, secrets),
        )
        for problem in problems
    )
