"""A run's own words without what names a person, a hospital or a machine."""

from __future__ import annotations

import re

from scanlearn.config.run import RunConfig

#: Keys of patients and of their scans (``scanlearn.cohort.keys``).
_KEYS = re.compile(r"\bP-[0-9a-f]{10}(?:-[0-9a-f]{6})?\b")

#: What stands in a path, or in the name of a file.
_PATHS = re.compile(r"(?:[A-Za-z]:)?(?:~|\.{0,2})[/\\]\S+|\S+\.(?:nii|dcm|csv|png)\S*")


def anonymous(text: str, config: RunConfig) -> str:
    """Return words without keys, paths, or names of cohorts and runs.

    Cohorts and runs are named by people, who may name them after a patient or a clinic.
    """
    names = {path.name: "a cohort" for path in config.cohorts}
    if config.start_from is not None:
        names[config.start_from.name] = "an earlier run"
    for name in sorted(filter(None, names), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", names[name], text)
    return _PATHS.sub("a file", _KEYS.sub("a scan", text))
