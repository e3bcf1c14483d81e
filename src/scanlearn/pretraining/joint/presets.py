"""Presets of the joint method."""

from typing import Any

#: Laid over the defaults of the section and of the engine, by name.
PRESETS: dict[str, dict[str, Any]] = {
    # A CPU, minutes, tens of scans: the specification's miniature. 64 clusters of
    # images and no queue are what worked best on small sets of CT patches. Small data
    # have to be seen often: with four passes nothing had been learned.
    "quick": {
        "recipe": {
            "trunk": {"architecture": "small", "width": 16},
            "transformer": {
                "dim": 64,
                "layers": 2,
                "heads": 4,
                "head_width": 16,
                "hidden": 72,
                "stride": 2,
                "kernel": 4,
            },
            "image_side": 64,
            "image_crop": 48,
            "slice_side": 48,
            "slices": 16,
            "images_a_volume": 16,
            "head_dim": 32,
            "batch": 64,
            "volume_batch": 8,
            "images": {"clusters": 64, "freeze_steps": 50},
            "volumes": {"clusters": 16, "queue": 64, "freeze_steps": 50},
            "views": {"area": [0.25, 1.0], "films": {}},
            "dense": 1.0,
            "stages": {"rates": [1.0, 1.0, 1.0]},
            "optimiser": {"name": "adamw", "learning_rate": 1e-3, "warmup": 0.05},
        },
        "engine": {
            "passes": 100.0,
            "steps": 1200,
            "rounds": 2,
            "save_every": 100,
            "validate_every": 20,
        },
    },
    # One GPU, overnight, hundreds of scans.
    "standard": {
        "recipe": {
            "images": {"clusters": 1000, "queue": 1920},
            "volumes": {"queue": 256},
            "views": {"films": {}},
            "dense": 1.0,
            "stages": {"rates": [1.0, 1.0, 1.0]},
            "optimiser": {"name": "adamw", "learning_rate": 5e-4, "warmup": 0.05},
        },
        "engine": {
            "passes": 100.0,
            "steps": 40_000,
            "rounds": 2,
            "save_every": 1000,
            "validate_every": 500,
        },
    },
    # The release's sizes, batch and optimiser, with all three losses trained together;
    # its rates are 0.15 for images alone and 0.01 for what follows.
    "paper": {
        "recipe": {
            "images": {"clusters": 3000, "queue": 3840},
            "volumes": {"queue": 256},
            "views": {"area": [0.08, 1.0]},
            "stages": {"rates": [1.0, 0.01 / 0.15, 0.01 / 0.15]},
            "optimiser": {
                "name": "larc",
                "learning_rate": 0.15,
                "weight_decay": 1e-6,
                "warmup": 0.1,
            },
        },
        "engine": {"steps": 160_000, "save_every": 2000, "validate_every": 1000},
    },
}

#: What SwAV has beside that: two large crops and six small ones, its authors' sizes.
_MULTI_CROP: dict[str, Any] = {
    "recipe": {
        "views": {
            "area": [0.14, 1.0],
            "local_crops": 6,
            "local_side": 96,
            "local_area": [0.05, 0.14],
        }
    }
}

SWAV = {"standard": _MULTI_CROP, "paper": _MULTI_CROP}
