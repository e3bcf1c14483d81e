"""What must not stand in anything that is given away: people, machines, places."""

from __future__ import annotations

import getpass
import re
import socket
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from scanlearn.cohort.layout import Layout, Source, read_sources
from scanlearn.cohort.preparation.privacy import scrubbed, tokens_of
from scanlearn.config.run import RunConfig
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.dicom.stated_identity import stated_identity
from scanlearn.scans.formats import stem_of

#: Shorter words and numbers are found by chance in any text.
_LETTERS, _DIGITS = 3, 5

#: Machines and users that many are called like.
_ANYBODY = ("", "localhost", "root", "user", "home")

_FILES, _HEADERS = "the name of a source file", "what the header of a scan states"


@dataclass(frozen=True)
class Secrets:
    """What is looked for.

    Parameters
    ----------
    kinds
        Of every secret, in words, what it is.
    places
        Folders of this machine, and what stands for each in what is given away.
    unread
        Sources that are no longer where they were: what their headers state is not
        known.
    """

    kinds: dict[str, str]
    places: dict[str, str]
    unread: int = 0

    def within(self, text: str) -> Secrets:
        """Return those that may stand in a text: few of many thousands."""
        folded = text.casefold()
        held = {s: kind for s, kind in self.kinds.items() if s.casefold() in folded}
        return replace(self, kinds=held)

    def without(self, text: str) -> str:
        """Return a text with an ellipsis for every secret, and names for places."""
        for place, name in self.places.items():
            text = text.replace(place, name)
        text = _ANY_PATH.sub(r"\g<name>", text)
        return scrubbed(text, self.within(text).kinds)

    def found_in(self, text: str) -> str:
        """Return in words what of this a text holds; nothing where it is clean."""
        if _ANY_PATH.search(text):
            return "a path of this machine"
        for secret, kind in self.within(text).kinds.items():
            if scrubbed(text, [secret]) != text:
                return kind
        return ""


#: A path from the root of a disk or a home; ``mm/s`` and ``1/255`` are none.
_ANY_PATH = re.compile(
    r"(?<![\w.:/\\)\]])(?:~?/|[A-Za-z]:[\\/]|\\\\)(?:[^\s'\"<>|:;,()/\\]+[/\\])+"
    r"(?P<name>[^\s'\"<>|:;,()/\\]*)"
)


def secrets_of_run(run: RunFolder, config: RunConfig) -> Secrets:
    """Gather what a run's cohorts, its machine and its user must not give away.

    Reads the headers of the sources where they still are.
    """
    kinds: dict[str, str] = {}
    unread = 0
    for cohort in config.cohorts:
        paths = [Path(source.path) for source in _sources(cohort)]
        kinds = dict.fromkeys(_of_files(paths), _FILES) | kinds
        for path in paths:
            files = _files(path)
            unread += not files
            for value in stated_identity(files) if _is_dicom(files) else ():
                kinds |= dict.fromkeys(tokens_of(value), _HEADERS)
    counted = {s: kind for s, kind in kinds.items() if _counts(s)} | _machine()
    longest_first = dict(sorted(counted.items(), key=lambda x: -len(x[0])))
    return Secrets(longest_first, _places(run, config), unread)


def _machine() -> dict[str, str]:
    host, user = socket.gethostname(), getpass.getuser()
    found = dict.fromkeys((host, host.split(".")[0]), "the name of this machine")
    found |= dict.fromkeys((user, Path.home().name), "the name of its user")
    return {name: kind for name, kind in found.items() if name not in _ANYBODY}


def _sources(cohort: Path) -> Iterator[Source]:
    layout = Layout(cohort)
    if layout.sources.is_file():
        yield from read_sources(layout).values()


def _of_files(paths: Sequence[Path]) -> set[str]:
    """Return what of the names of files may be a patient's.

    A word that stands in half of many names, such as *scan*, tells nobody.
    """
    found = {text for path in paths for text in (str(path), path.name)}
    named = Counter(token for path in paths for token in tokens_of(stem_of(path)))
    rare = {token for token, times in named.items() if 2 * times < max(4, len(paths))}
    return found | rare | {str(path.parent) for path in paths}


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    return [path] if path.is_file() else []


def _is_dicom(files: list[Path]) -> bool:
    """Whether these are files of a DICOM series; other formats state no persons."""
    if not files:
        return False
    with files[0].open("rb") as stream:
        start = stream.read(132)
    return start[128:] == b"DICM" or start[:2] == b"\x08\x00"


def _counts(secret: str) -> bool:
    if secret.isdigit():
        return len(secret) >= _DIGITS
    return len(secret) >= _LETTERS


def _places(run: RunFolder, config: RunConfig) -> dict[str, str]:
    """Return what stands for the folders that a run names, the longest first."""
    found = {str(run.path): "run"}
    found |= {str(path): f"cohort-{n}" for n, path in enumerate(config.cohorts, 1)}
    if config.start_from is not None:
        found[str(config.start_from)] = "earlier-run"
    found |= {sys.prefix: "python", str(Path.home()): "home", str(Path.cwd()): "here"}
    long_enough = {place: name for place, name in found.items() if len(place) > 1}
    return dict(sorted(long_enough.items(), key=lambda x: -len(x[0])))
