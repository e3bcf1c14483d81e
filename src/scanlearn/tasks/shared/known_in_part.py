"""Which masks of a folder are known in part: the docks say so beside them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from scanlearn.files import write_text

#: Lies beside masks of which 255 marks what nobody looked at, and names them.
NOTE_FILE = "known_in_part.json"


def note_known_in_part(folder: Path, masks: Iterable[str]) -> None:
    """Note the names of masks whose 255 marks what nobody looked at."""
    write_text(folder / NOTE_FILE, json.dumps(sorted(masks)))


def known_in_part(source: Path) -> frozenset[str]:
    """Return the names of such masks in a folder of labels; none without a note."""
    try:
        return frozenset(map(str, json.loads((source / NOTE_FILE).read_text("utf-8"))))
    except (OSError, ValueError, TypeError):
        return frozenset()
