"""Tables of the pages in ``docs/`` that benchmarks write, each between its marks."""

from __future__ import annotations

from pathlib import Path


def write_between(page: Path, name: str, text: str) -> None:
    """Put a text between ``<!-- NAME: begin -->`` and its end in a page."""
    begin, end = f"<!-- {name}: begin -->\n", f"<!-- {name}: end -->\n"
    before, rest = page.read_text("utf-8").split(begin)
    page.write_text(before + begin + text + end + rest.split(end)[1], "utf-8")
