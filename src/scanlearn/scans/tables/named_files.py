"""Files as tables name them: back-slashes, accents, paths of other computers."""

from __future__ import annotations

import re
from pathlib import Path
from unicodedata import normalize

_ELSEWHERE = re.compile(r"[A-Za-z]:[\\/]|\\\\")


def same_name(name: str) -> str:
    """Return what equal names share whatever the form of their accents and capitals."""
    return normalize("NFC", name).casefold()


def named_file(folder: Path, text: str) -> Path | None:
    """Return the file that a text names, relative to a folder; None for no file.

    A name with accents means the same in all forms of Unicode, and a back-slash
    separates folders where no file of that very name exists.
    """
    for path in dict.fromkeys((text, text.replace("\\", "/"))):
        found = _found(folder, Path(path))
        if found is not None:
            return found
    return None


def why_missing(folder: Path, text: str) -> str:
    """Return what is known of a name that no file has."""
    if _ELSEWHERE.match(text):
        return "a path of another computer, which does not exist here"
    path = Path(text.replace("\\", "/"))
    place = folder / path.parent
    try:
        near = [
            p.name for p in place.iterdir() if same_name(p.name) == same_name(path.name)
        ]
    except (OSError, ValueError):
        near = []
    if near:
        return f"which does not exist (but {near[0]} does)"
    return "which does not exist"


def _found(folder: Path, path: Path) -> Path | None:
    try:
        if (folder / path).exists():
            return (folder / path).resolve()
        for form in ("NFC", "NFD"):
            other = folder / normalize(form, str(path))
            if other.exists():
                return other.resolve()
        return _by_parts(folder, path)
    except (OSError, RuntimeError, ValueError):  # too long, a circle of links, a zero
        return None


def _by_parts(folder: Path, path: Path) -> Path | None:
    """Go down part by part, as forms of accents may differ from folder to folder."""
    if str(path).isascii():
        return None
    place = Path(path.anchor) if path.is_absolute() else folder
    for part in path.relative_to(path.anchor).parts:
        if not place.is_dir():
            return None
        wanted = normalize("NFC", part)
        names = [p for p in place.iterdir() if normalize("NFC", p.name) == wanted]
        if part != ".." and len(names) != 1:
            return None
        place = place / ".." if part == ".." else names[0]
    return place.resolve()
