"""Presets of outcomes."""

from typing import Any

#: Laid over the defaults of the section and of the engine, by name.
#: Nothing is trained step by step: both are the same.
PRESETS: dict[str, dict[str, Any]] = {"quick": {}, "standard": {}}
