"""Presets: named sets of values over the defaults of a recipe and of the engine."""

from typing import Any

from scanlearn.config.run import merge
from scanlearn.errors import BadConfig

_DRASCLR: dict[str, dict[str, Any]] = {
    # A CPU, minutes, tens of scans: patches of the same size in the body at 2 mm, half
    # the channels, and other patients of the batch as negatives, because a queue larger
    # than a small cohort holds little more than the query patient's own keys. Without
    # the neighbours' loss, which doubles a step's time. The knee is there so that
    # vessels do not drown what is thinner than lung; the views take noise away as a
    # mark of the patient but leave density alone, so much noise and no gamma.
    # docs/evidence.md says how this was chosen and what it gives on phantoms.
    "quick": {
        "recipe": {
            "spacing_mm": 2.0,
            "encoder": {"width": 4, "dim": 64, "experts": 4, "knee_hu": -600.0},
            "head_dim": 64,
            "landmarks": {"at_most": 64},
            "views": {
                "shift_mm": 8.0,
                "noise_hu": 50.0,
                "noise_probability": 0.8,
                "gamma_probability": 0.0,
            },
            "batch": 64,
            "queue": 0,
            "in_batch": True,
            "neighbours": 0,
            "momentum": 0.9,
            "temperature": 0.1,
            "clean_batches": 8,
            "optimiser": {"name": "adamw", "learning_rate": 3e-3, "warmup": 0.05},
        },
        "engine": {"steps": 1000, "save_every": 100, "validate_every": 50},
    },
    # One GPU, overnight, hundreds of scans. Untried: values between the release's and
    # those of ``quick``.
    "standard": {
        "recipe": {
            "spacing_mm": 1.0,
            "batch": 32,
            "queue": 1024,
            "in_batch": True,
            "momentum": 0.996,
            "optimiser": {"name": "adamw", "learning_rate": 1e-3, "warmup": 0.02},
        },
        "engine": {"steps": 60_000, "save_every": 1000, "validate_every": 500},
    },
    # The numbers of the release. Stored in 8 bits, its 581 queues of 4096 keys take
    # 0.3 GB instead of 1.2.
    "paper": {
        "recipe": {
            "spacing_mm": 1.0,
            "batch": 128,
            "queue_precision": "int8",
            "neighbours": 2,
            "beta": 1.0,
            "views": {"context": False},
            "optimiser": {"name": "sgd", "learning_rate": 0.01},
        },
        "engine": {"steps": 825_000, "save_every": 2000, "validate_every": 1000},
    },
}

_JOINT: dict[str, dict[str, Any]] = {
    # A CPU, minutes, tens of scans: the specification's miniature. 64 clusters of
    # images and no queue are what worked best on small sets of CT patches.
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
            "views": {"area": [0.25, 1.0]},
            "optimiser": {"name": "adamw", "learning_rate": 1e-3, "warmup": 0.05},
        },
        "engine": {"steps": 600, "save_every": 100, "validate_every": 20},
    },
    # One GPU, overnight, hundreds of scans.
    "standard": {
        "recipe": {
            "images": {"clusters": 1000, "queue": 1920},
            "volumes": {"queue": 256},
            "optimiser": {"name": "adamw", "learning_rate": 5e-4, "warmup": 0.05},
        },
        "engine": {"steps": 40_000, "save_every": 1000, "validate_every": 500},
    },
    # The release's sizes, batch and optimiser, with all three losses trained together.
    "paper": {
        "recipe": {
            "images": {"clusters": 3000, "queue": 3840},
            "volumes": {"queue": 256},
            "views": {"area": [0.08, 1.0]},
            "optimiser": {
                "name": "larc",
                "learning_rate": 0.15,
                "weight_decay": 1e-6,
            },
        },
        "engine": {"steps": 160_000, "save_every": 2000, "validate_every": 1000},
    },
}

_SEGMENTATION: dict[str, dict[str, Any]] = {
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

_DETECTION: dict[str, dict[str, Any]] = {
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

PRESETS: dict[str, dict[str, dict[str, Any]]] = {
    "drasclr": _DRASCLR,
    "joint": _JOINT,
    "segmentation": _SEGMENTATION,
    "detection": _DETECTION,
    # Frozen features have no steps; these are of method=full.
    "texture": {
        "quick": {"engine": {"steps": 80, "save_every": 40, "validate_every": 20}},
        "standard": {"engine": {"steps": 200, "save_every": 50, "validate_every": 20}},
    },
    # Frozen features have no steps; these are of method=full. The trunk is that of a
    # training from scratch.
    "classification": {
        "quick": {
            "recipe": {"trunk": {"architecture": "small", "width": 16}},
            "engine": {"steps": 300, "save_every": 50, "validate_every": 50},
        },
        "standard": {
            "engine": {"steps": 3000, "save_every": 200, "validate_every": 200},
        },
    },
    # Nothing is trained step by step: both are the same.
    "outcome": {"quick": {}, "standard": {}},
}


def preset(recipe: str, name: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Return the settings of a preset with a user's changes laid over it."""
    known = PRESETS[recipe]
    if name not in known:
        raise BadConfig(
            f"There is no preset '{name}' for {recipe}",
            expected=", ".join(known),
            next_step="Choose one of these",
        )
    base = merge({"recipe": {"name": recipe}, "preset": name}, known[name])
    return merge(base, changes)
