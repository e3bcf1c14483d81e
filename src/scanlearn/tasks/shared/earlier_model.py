"""What a fine-tuned run has learned, told from its card without opening the network."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from scanlearn.encoders.encoder_kind import EncoderKind

#: The card of a fine-tuned model, in a run's ``checkpoints/``.
CARD = "model.json"

_KINDS: dict[str, EncoderKind] = {"location-unet": "patches", "slice-unet": "slices"}


def learned_task(run: Path) -> str:
    """Return the name of the task that a run learned; empty for any other run."""
    return str(model_card(run).get("task", ""))


def model_kind(run: Path) -> EncoderKind | None:
    """Return what the encoder inside a fine-tuned model sees; None where it is not."""
    return _KINDS.get(str(model_card(run).get("architecture", "")))


def model_card(run: Path) -> dict[str, Any]:
    """Return what a run's model says of itself, unchecked; empty where it has none."""
    path = run / "checkpoints" / CARD
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, ValueError, TypeError):
        return {}


@lru_cache(maxsize=512)
def _read(path: Path, _changed: int) -> dict[str, Any]:
    return dict(json.loads(path.read_text("utf-8")))
