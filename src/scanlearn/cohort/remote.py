"""Cohorts at a URL: mirrored into a cache, each file only when it is needed.

A mirror is a cohort's folder with its catalogue and sidecars; voxels and lung masks
come when they are first used. ``private/`` is never asked for. A mirror is brought up
to date when its URL is opened; a training that goes on with the folder sees the same.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scanlearn.cohort.keys import settings_folder
from scanlearn.cohort.layout import Layout
from scanlearn.documents import parse_json
from scanlearn.errors import BadCohort
from scanlearn.files import write_text, written_beside

#: Marks a folder as a mirror and says of what.
_MARK = "mirror.json"

#: Sidecars asked for at a time.
_AT_ONCE = 200

_CONNECT_S = 20
_SILENCE_S = 60

#: What a server calls a scan becomes a file name here: nothing but a key may.
_KEY = re.compile(r"P-[0-9a-f]+-[0-9a-f]+")


def is_url(place: Path | str) -> bool:
    """Whether a cohort's place is a URL, such as ``https://`` or ``s3://``."""
    return isinstance(place, str) and "://" in place


def mirror(url: str) -> Path:
    """Bring a cohort's catalogue and sidecars into the cache; returns the folder.

    Voxels of scans that have changed at the URL are dropped from the cache.

    Raises
    ------
    BadCohort
        If the URL cannot be reached or holds no cohort.
    """
    layout = Layout(cache_folder() / _folder_name(url))
    remote = Remote(url.rstrip("/"), layout)
    settings, table = remote.read(
        [_relative(layout, layout.settings), _relative(layout, layout.table)]
    )
    keys = _keys(url, table)
    sidecars = [_relative(layout, layout.record(key)) for key in keys]
    contents: list[bytes] = []
    for start in range(0, len(sidecars), _AT_ONCE):
        contents += remote.read(sidecars[start : start + _AT_ONCE])
    layout.root.mkdir(parents=True, exist_ok=True)
    layout.root.chmod(0o700)
    for record in layout.scans.glob("*.json"):
        if record.stem not in keys:
            _drop(layout, record.stem)
    for key, content in zip(keys, contents, strict=True):
        path = layout.record(key)
        if not path.exists() or path.read_bytes() != content:
            _drop(layout, key)
            _write(path, content)
    _write(layout.table, table)
    _write(layout.settings, settings)
    write_text(layout.root / _MARK, json.dumps({"url": remote.url}))
    return layout.root


def remote_of(layout: Layout) -> Remote | None:
    """Return what a folder is a mirror of; None where it is a cohort of its own."""
    try:
        content = parse_json((layout.root / _MARK).read_bytes())
        return Remote(str(content["url"]), layout)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def cache_folder() -> Path:
    """Return where mirrors are kept: ``$SCANLEARN_HOME/cache`` or the system's."""
    from platformdirs import user_cache_path

    if os.environ.get("SCANLEARN_HOME"):
        return settings_folder() / "cache"
    return user_cache_path("scanlearn", appauthor=False)


@dataclass(frozen=True)
class Remote:
    """The files of a cohort at a URL, and where their copies go."""

    url: str
    layout: Layout

    def fetch(self, path: Path) -> None:
        """Copy a file of the cohort to its place in the mirror, whole or not at all.

        Raises
        ------
        BadCohort
            If it cannot be had.
        """
        name = _relative(self.layout, path)
        system, root = self._system()
        try:
            with written_beside(path) as part:
                system.get_file(f"{root}/{name}", str(part))
        except Exception as problem:  # every protocol has errors of its own
            raise self._failed(name, problem) from problem

    def read(self, names: list[str]) -> list[bytes]:
        """Return the content of small files, asked for side by side."""
        system, root = self._system()
        paths = [f"{root}/{name}" for name in names]
        try:
            found = [system.cat_file(paths[0])] if len(paths) == 1 else None
            if found is None:
                each = system.cat(paths, on_error="return") if paths else {}
                found = [each[path] for path in paths]
        except Exception as problem:  # every protocol has errors of its own
            raise self._failed(names[0], problem) from problem
        for name, content in zip(names, found, strict=True):
            if isinstance(content, BaseException):
                raise self._failed(name, content) from content
        return found

    def _system(self) -> tuple[Any, str]:
        from fsspec.core import url_to_fs

        try:
            system, root = url_to_fs(self.url, **_patience(self.url))
        except (ImportError, ValueError) as problem:
            raise BadCohort(
                f"{self.url} cannot be opened: {problem}",
                expected="a URL that fsspec knows, such as https:// or file://",
                next_step="For http(s) install napari-scanlearn[remote]; other "
                "protocols need the package that the message names.",
            ) from None
        return system, str(root).rstrip("/")

    def _failed(self, name: str, problem: BaseException) -> BadCohort:
        if isinstance(problem, FileNotFoundError):
            return BadCohort(
                f"{self.url} has no {name}",
                expected="a cohort as 'scanlearn prepare' wrote it",
                next_step="Check the address: it is that of the cohort's folder.",
            )
        said = str(problem) or type(problem).__name__
        return BadCohort(
            f"{self.url} cannot be reached ({said})",
            expected=f"an answer with {name}",
            next_step="Check the address and the connection, then try again.",
        )


def _patience(url: str) -> dict[str, Any]:
    """Return options that let a large file take its time, but not a silent server."""
    if not url.startswith(("http://", "https://")):
        return {}
    from aiohttp import ClientTimeout

    timeout = ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENCE_S)
    return {"client_kwargs": {"timeout": timeout}}


def _keys(url: str, table: bytes) -> list[str]:
    try:
        rows = csv.DictReader(io.StringIO(table.decode("utf-8"), newline=""))
        keys = [row["scan"] for row in rows]
    except (UnicodeDecodeError, KeyError, csv.Error):
        keys = [""]
    wrong = [key for key in keys if not _KEY.fullmatch(key or "")]
    if wrong:
        raise BadCohort(
            f"the catalogue.csv of {url} names a scan '{wrong[0]}'",
            expected="the catalogue of a cohort as 'scanlearn prepare' wrote it",
            next_step="Check the address: it is that of the cohort's folder.",
        )
    return keys


def _drop(layout: Layout, key: str) -> None:
    """Remove a scan from the mirror, its sidecar first."""
    layout.record(key).unlink(missing_ok=True)
    for path in (*layout.scans.glob(f"{key}.*"), layout.lungs(key)):
        path.unlink(missing_ok=True)


def _write(path: Path, content: bytes) -> None:
    with written_beside(path) as part:
        part.write_bytes(content)


def _relative(layout: Layout, path: Path) -> str:
    return path.relative_to(layout.root).as_posix()


def _folder_name(url: str) -> str:
    """Return a readable name that no other URL has."""
    last = re.sub(r"[^\w.-]+", "-", url.rstrip("/").rsplit("/", 1)[-1]) or "cohort"
    return f"{last}-{hashlib.sha256(url.rstrip('/').encode()).hexdigest()[:8]}"
