"""Presets of segmentation."""

from typing import Any

from scanlearn.config.offer import PLANNED

#: Laid over the defaults of the section and of the engine, by name.
PRESETS: dict[str, dict[str, Any]] = {
    # Its settings depend on the cohort: ``config/segmentation_plan.py``.
    PLANNED: {},
    "quick": {
        "recipe": {
            "spacing_mm": 2.0,
            "width": 4,
        },
        "engine": {
            "steps": 300,
            "save_every": 50,
            "validate_every": 50,
            "clip_norm": 1.0,
        },
    },
    # A CPU, minutes: MR of one structure, at the cohort's own voxels. A few wide layers
    # below full resolution do more in the same time than narrow ones at it.
    # docs/segmentation_evidence.md says what this gives.
    "mr": {
        "recipe": {
            "width": 8,
            "stride": 2,
            "batch": 8,
            "optimiser": {"learning_rate": 1e-2, "weight_decay": 1e-4, "warmup": 0.05},
        },
        "engine": {
            "steps": 800,
            "save_every": 50,
            "validate_every": 50,
            "clip_norm": 1.0,
        },
    },
    "standard": {
        "engine": {
            "steps": 4000,
            "save_every": 200,
            "validate_every": 200,
            "clip_norm": 1.0,
        },
    },
}
