"""The pieces of a card in Markdown, and the whole of one as a page in HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

_STYLE = (
    "body{font-family:sans-serif;line-height:1.5;max-width:46em;margin:2em auto;"
    "padding:0 1em}table{border-collapse:collapse}th,td{border:1px solid #999;"
    "padding:.2em .6em;text-align:left;vertical-align:top}blockquote{border-left:"
    ".3em solid #999;margin-left:0;padding-left:1em;font-weight:600}"
)


def section(title: str, *blocks: str) -> str:
    """Return a heading with what stands below it; nothing where nothing does."""
    filled = [block for block in blocks if block]
    return "\n\n".join([f"## {title}", *filled]) if filled else ""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; nothing without rows."""
    lines = [_line(row) for row in rows]
    if not lines:
        return ""
    return "\n".join([_line(columns), _line(["---"] * len(columns)), *lines])


def listed(items: Iterable[str]) -> str:
    """Return a list with a dot before each item."""
    return "\n".join(f"* {item}" for item in items)


def page(markdown: str, title: str) -> str:
    """Return a card as a page that needs no other file; no HTML in it is let through.

    Parameters
    ----------
    markdown
        The card.
    title
        Of the page.
    """
    from html import escape

    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        f"{parser.render(markdown)}</body></html>\n"
    )


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
