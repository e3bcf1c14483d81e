"""Labels as a fine-tuning keeps them in its run: JSON with keys, never names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scanlearn.documents import parse_json, read_text
from scanlearn.errors import BadLabels
from scanlearn.files import write_text


def save_labels(path: Path, content: dict[str, Any]) -> None:
    """Write labels; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(content, indent=1))


@contextmanager
def saved_labels(path: Path, *, source: str = "table") -> Iterator[Any]:
    """Give the content of a file, inside a ``with`` that takes it apart.

    Parameters
    ----------
    path
        The file.
    source
        What such labels are made of, for the advice.

    Raises
    ------
    BadLabels
        If the file cannot be read, or its content is not what the ``with`` expects.
    """
    try:
        yield parse_json(read_text(path))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
        raise BadLabels(
            f"{path} cannot be read ({problem})",
            expected="labels as a fine-tuning wrote them into its inputs",
            next_step=f"Launch the fine-tuning anew with its {source}",
        ) from None
