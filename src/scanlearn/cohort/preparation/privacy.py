"""Keeping names and identifiers out of what leaves ``private/``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from scanlearn.scans.dicom.stated_identity import stated_identity
from scanlearn.scans.scan import Problem, ScanEntry

#: A shorter token could be any word of a sentence, a shorter number any number.
_SHORTEST, _SHORTEST_NUMBER = 2, 3
#: What stands in names of persons and of institutions, and tells nobody.
_COMMON = (
    "mr ms mrs miss dr md phd prof jr sr st von van der den ter und and of the for at "
    "in de la le du di da del el al bin ibn ct mri mm hu no chest lung lungs heart "
    "head brain abdomen thorax neck spine breast cardiac body hospital clinic klinik "
    "clinics centre center medical medicine university institute department general "
    "radiology radiologie imaging diagnostic health care unknown anonymous anon "
    "anonymized anonymised patient name none null test"
)
_WORDS = frozenset(_COMMON.split())
_PARTS = re.compile(r"[\^=|/\\\s,;:()\[\]_]+")


def secrets_of(entry: ScanEntry) -> list[str]:
    """Return the texts that could tell who a scan is of, the longest first.

    Names of files, the identity, and all that DICOM headers state of persons,
    institutions, dates of birth and numbers of the study.
    """
    # The chunks of an OME-Zarr image are named by numbers, and there are many.
    paths = {entry.path} if entry.kind == "zarr" else {entry.path, *entry.files}
    tokens: set[str] = {entry.series_uid}
    for path in paths:
        tokens.update((str(path), path.name, path.name.split(".")[0], str(path.parent)))
    tokens = {token for token in tokens if len(token) > _SHORTEST}
    values = [entry.patient, entry.identity]
    if entry.kind == "dicom":
        values += stated_identity(entry.files)
    for identity in values:
        tokens.update(tokens_of(identity))
    return sorted(tokens, key=len, reverse=True)


def tokens_of(value: str) -> set[str]:
    """Return a value that identifies, its parts, and a date as people write it."""
    value = value.strip()
    parts = {value, *_PARTS.split(value)}
    parts.update(piece for part in list(parts) for piece in part.split("-"))
    parts.update(_dates(value))
    return {part for part in parts if _tells(part)}


def _tells(part: str) -> bool:
    if part.isdigit():
        return len(part) >= _SHORTEST_NUMBER
    return len(part) >= _SHORTEST and part.casefold().strip(".") not in _WORDS


def _dates(value: str) -> Iterator[str]:
    found = re.fullmatch(r"(\d{4})[.-]?(\d\d)[.-]?(\d\d)", value)
    if found is None:
        return
    y, m, d = found.groups()
    for between in "-./ ":
        for year in (y, y[2:]):
            yield from (between.join(x) for x in ((year, m, d), (d, m, year)))
            yield from (between.join(x) for x in ((m, d, year),))
            yield between.join((str(int(d)), str(int(m)), year))


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """Return a text with every secret replaced by an ellipsis."""
    for secret in secrets:
        text = _expression(secret).sub("…", text)
    return text


@lru_cache(maxsize=4096)
def _expression(secret: str) -> re.Pattern[str]:
    """Return what finds a secret as a word of its own: *Jane* is not in *janet*.

    Letters end beside digits and underscores. Scripts without capitals write words
    without gaps, so theirs are found anywhere.
    """
    first, last = (_border(letter) for letter in (secret[0], secret[-1]))
    before, after = first and f"(?<!{first})", last and f"(?!{last})"
    return re.compile(f"{before}{re.escape(secret)}{after}", re.IGNORECASE)


def _border(letter: str) -> str:
    if letter.isdigit():
        return r"\d"
    return r"[^\W\d_]" if letter.lower() != letter.upper() else ""


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
