"""Presets of DrasCLR."""

from typing import Any

#: Laid over the defaults of the section and of the engine, by name.
PRESETS: dict[str, dict[str, Any]] = {
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
        "engine": {
            "passes": 50.0,
            "steps": 2000,
            "rounds": 2,
            "save_every": 100,
            "validate_every": 50,
        },
    },
    # As ``quick``, for a network that starts from it and seeks or outlines what is
    # bright. Patches of 32 voxels, at which every layer of a U-Net's encoder learns; no
    # knee, which squeezes what is brighter than lung and stretches the noise of lung;
    # and views that leave small bright things alone. A step of 24 such patches takes
    # twice one of 64 small ones.
    "bright": {
        "recipe": {
            "spacing_mm": 2.0,
            "encoder": {"width": 4, "dim": 64, "experts": 4},
            "head_dim": 64,
            "landmarks": {"at_most": 64, "patch_voxels": 32},
            "views": {
                "shift_mm": 8.0,
                "noise_hu": 20.0,
                "noise_probability": 0.8,
                "gamma_probability": 0.0,
            },
            "batch": 24,
            "queue": 0,
            "in_batch": True,
            "neighbours": 0,
            "momentum": 0.9,
            "temperature": 0.1,
            "clean_batches": 8,
            "optimiser": {"name": "adamw", "learning_rate": 3e-3, "warmup": 0.05},
        },
        "engine": {
            "passes": 50.0,
            "steps": 2000,
            "rounds": 2,
            "save_every": 100,
            "validate_every": 50,
        },
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
        "engine": {
            "passes": 100.0,
            "steps": 60_000,
            "rounds": 2,
            "save_every": 1000,
            "validate_every": 500,
        },
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
