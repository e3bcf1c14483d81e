"""YAML and JSON of anyone, read within bounds: no document takes the memory or the day.

A few hundred bytes of YAML can stand for gigabytes (a list of aliases of lists of
aliases), and brackets within brackets end an interpreter. Neither is in a document that
people or programs write, so both are refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

#: Longest YAML in characters: a configuration has a few thousand.
MOST_YAML = 500_000

#: Largest file of JSON in bytes: cards hold an atlas, catalogues some thousand scans.
MOST_BYTES = 64_000_000

#: How deep lists and mappings may lie in each other.
MOST_LEVELS = 50

#: Whole numbers lie between minus and plus this, as other programs keep them.
MOST_INTEGER = 2**63 - 1


def read_text(path: Path) -> str:
    """Read a text file in UTF-8.

    Raises
    ------
    OSError
        If it cannot be read.
    ValueError
        If it is no text, or larger than any document.
    """
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise ValueError(f"it has {size / 1e6:,.0f} MB, more than any document")
    return path.read_text(encoding="utf-8")


def parse_yaml(text: str) -> Any:
    """Read YAML of plain values.

    Raises
    ------
    ValueError
        If it is no YAML, or beyond the bounds: aliases, depth, length, whole numbers.
    """
    if len(text) > MOST_YAML:
        raise ValueError(f"it has {len(text):,} characters, more than any settings")
    try:
        return yaml.load(text, _BoundedLoader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from None


def parse_json(text: str | bytes) -> Any:
    """Read JSON.

    Raises
    ------
    ValueError
        If it is no JSON, or beyond the bounds: length, depth, whole numbers.
    """
    if len(text) > MOST_BYTES:
        raise ValueError(f"it has {len(text) / 1e6:,.0f} MB, more than any document")
    try:
        return json.loads(text, parse_int=_integer)
    except RecursionError:
        raise ValueError("its lists and mappings lie too deep in each other") from None


def _integer(digits: str) -> int:
    # Longer ones are not even read: that takes the square of their length.
    if len(digits) > 40 or abs(number := int(digits)) > MOST_INTEGER:
        raise ValueError(f"it holds a whole number of {len(digits)} digits")
    return number


class _BoundedLoader(yaml.SafeLoader):
    """PyYAML's safe loader without aliases, depth and huge numbers."""

    _level = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise ValueError("it repeats a part by an alias ('*name'): write it out")
        self._level += 1
        if self._level > MOST_LEVELS:
            raise ValueError(f"it is more than {MOST_LEVELS} levels deep")
        node = super().compose_node(parent, index)
        self._level -= 1
        return node

    def construct_bounded(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > 40:
            raise ValueError(f"it holds a whole number of {len(node.value)} digits")
        number = self.construct_yaml_int(node)
        if abs(number) > MOST_INTEGER:
            raise ValueError(f"it holds a whole number that is too large: {number}")
        return int(number)


_BoundedLoader.add_constructor(
    "tag:yaml.org,2002:int", _BoundedLoader.construct_bounded
)
