"""Presets of texture."""

from typing import Any

#: Laid over the defaults of the section and of the engine, by name.
#: Frozen features have no steps; these are of method=full.
PRESETS: dict[str, dict[str, Any]] = {
    "quick": {"engine": {"steps": 80, "save_every": 40, "validate_every": 20}},
    "standard": {"engine": {"steps": 200, "save_every": 50, "validate_every": 20}},
}
