"""Whose a scan is: as its file states it, or as a column or the file's name tells."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from unicodedata import normalize

from scanlearn.errors import BadConfig
from scanlearn.scans.formats import stem_of
from scanlearn.scans.scan import ScanEntry

#: Stands for the patient in a pattern of file names.
PLACE = "{patient}"

_EXAMPLES = f"'{PLACE}_*' for 'P001_CT.nii.gz', or '{PLACE}/*' for 'P001/CT.nii.gz'"

#: Identities that programs write for every patient, letters and digits alone.
_NOBODY = re.compile(
    r"(anon\w*|unknown\w*|none|null|na|nan|noname\w*|dummy\w*|patient|patientid|subject|name"
    r"|x+|0+|removed|redacted|deidentified|pseudonym\w*)?"
)


def is_pattern(text: str) -> bool:
    """Whether a text is a pattern of file names, not the name of a column."""
    return PLACE in text


def with_identities(entries: Sequence[ScanEntry], pattern: str) -> list[ScanEntry]:
    """Return entries whose file names tell their patients.

    Parameters
    ----------
    entries
        The scans.
    pattern
        ``{patient}`` stands for the patient, as short as possible, ``*`` for any text
        and ``?`` for one character. Without a ``/`` it is compared with the name of the
        file (or the folder of a series) without its ending, else with the end of its
        path.

    Raises
    ------
    BadConfig
        If it is no pattern, or a file's name does not fit it.
    """
    if pattern.count(PLACE) != 1:
        raise BadConfig(
            f"--patient-from '{pattern}' does not say where {PLACE} is",
            expected=f"a pattern of file names, such as {_EXAMPLES}; a column only of "
            "a table that is prepared",
            next_step=f"Write {PLACE} once, where the name of a file tells the patient",
        )
    expression = _expression(normalize("NFC", pattern))
    found = [_name(entry, expression) for entry in entries]
    strangers = [e for e, name in zip(entries, found, strict=True) if name is None]
    if strangers:
        names = ", ".join(entry.path.name for entry in strangers[:3])
        more = ", …" if len(strangers) > 3 else ""
        raise BadConfig(
            f"--patient-from '{pattern}' does not fit {len(strangers)} of "
            f"{len(entries)} scans: {names}{more}",
            expected=f"a pattern that fits all of them, such as {_EXAMPLES}",
            next_step="Correct it, or prepare a table with a column patient",
        )
    return [
        replace(entry, identity=str(name))
        for entry, name in zip(entries, found, strict=True)
    ]


def identity_remarks(
    entries: Sequence[ScanEntry], patients: int, scans: int
) -> list[str]:
    """Say where identities tell patients apart badly, and what that breaks.

    Parameters
    ----------
    entries
        The scans prepared now.
    patients, scans
        How many the whole cohort has.
    """
    repair = (
        "If they are of several patients, prepare them into a new folder with "
        "--patient-from (Patients, under Advanced in the dock): a column of a table, "
        f"or a pattern of file names such as '{PLACE}_*'"
    )
    if patients == 1 and scans > 1:
        places = len({entry.path for entry in entries})
        where = f" (of {places} folders or files)" if places > 1 else ""
        return [
            f"all {scans} scans{where} carry the same identity: with one patient none "
            "can be split by patient, so nothing can be held out, scored or compared. "
            + repair
        ]
    counts = Counter(e.patient for e in entries if not e.identity and _is_nobody(e))
    return [
        f"{count} of {len(entries)} scans carry the identity '{name}', which stands "
        f"for no patient: they count as one, on one side of every split. {repair}"
        for name, count in counts.items()
        if count > 1
    ]


def _is_nobody(entry: ScanEntry) -> bool:
    letters = re.sub(r"[\W_]+", "", entry.patient.casefold())
    return bool(entry.patient) and _NOBODY.fullmatch(letters) is not None


def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\{patient\}|\*|\?)", pattern)
    wild = {PLACE: "([^/]+?)", "*": "[^/]*", "?": "[^/]"}
    text = "".join(wild.get(part, re.escape(part)) for part in parts)
    return re.compile(f"(?:.*/)?{text}" if "/" in pattern else text)


def _name(entry: ScanEntry, expression: re.Pattern[str]) -> str | None:
    path = entry.path.absolute()
    name = stem_of(path)
    has_folders = "/" in expression.pattern.replace("[^/]", "")
    text = path.with_name(name or path.name).as_posix() if has_folders else name
    found = expression.fullmatch(normalize("NFC", text))
    return found[1] if found else None
