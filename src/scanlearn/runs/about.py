"""What people say of a run: a name, a note, tags; ``about.json`` beside its settings.

A run is found by its folder, and others that start from it keep that path. So its
folder stays where it is when it is given another name.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from scanlearn.files import write_text

_FILE = "about.json"


class About(BaseModel):
    """What is said of one run; empty where nobody said anything.

    Parameters
    ----------
    name
        Shown in place of the folder's.
    note
        Free text.
    tags
        Words to find it by, each once, in order.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str = ""
    note: str = ""
    tags: tuple[str, ...] = ()


def read_about(run: Path) -> About:
    """Read what is said of a run; a file that cannot be read says nothing."""
    try:
        return About.model_validate_json((run / _FILE).read_bytes())
    except (OSError, ValidationError):
        return About()


def write_about(run: Path, about: About) -> None:
    """Write what is said of a run."""
    write_text(run / _FILE, about.model_dump_json(indent=1))


def parse_tags(text: str | Iterable[str]) -> tuple[str, ...]:
    """Return tags in order, each once; commas divide those of a text."""
    parts = text.split(",") if isinstance(text, str) else text
    return tuple(sorted({" ".join(part.split()) for part in parts if part.strip()}))
