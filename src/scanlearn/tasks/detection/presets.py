"""Presets of detection."""

from typing import Any

#: Laid over the defaults of the section and of the engine, by name.
PRESETS: dict[str, dict[str, Any]] = {
    "quick": {
        "recipe": {"spacing_mm": 2.0, "width": 4},
        "engine": {
            "steps": 600,
            "save_every": 100,
            "validate_every": 200,
            "clip_norm": 1.0,
        },
    },
    "standard": {
        "engine": {
            "steps": 4000,
            "save_every": 200,
            "validate_every": 400,
            "clip_norm": 1.0,
        },
    },
}
