"""Presets of classification."""

from typing import Any

#: Laid over the defaults of the section and of the engine, by name.
#: Frozen features have no steps; these are of method=full. The trunk is that of a
#: training from scratch.
PRESETS: dict[str, dict[str, Any]] = {
    "quick": {
        "recipe": {"grid": 4, "trunk": {"architecture": "small", "width": 16}},
        "engine": {"steps": 300, "save_every": 50, "validate_every": 50},
    },
    "standard": {
        "recipe": {"grid": 4},
        "engine": {"steps": 3000, "save_every": 200, "validate_every": 200},
    },
}
