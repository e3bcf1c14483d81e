"""What a fine-tuned run has learned, told from its card without opening the network."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from scanlearn.encoders.encoder_kind import EncoderKind

#: The card of a fine-tuned model, in a run's ``checkpoints/``.
CARD = "model.json"

_KINDS: dict[str, EncoderKind] = {"location-unet": "patches", "slice-unet": "slices"}


def learned_task(run: Path) -> str:
    """Return the name of the task that a run learned; empty for any other run."""
    return _told(run)[0]


def model_kind(run: Path) -> EncoderKind | None:
    """Return what the encoder inside a fine-tuned model sees; None where it is not."""
    return _KINDS.get(_told(run)[1])


def _told(run: Path) -> tuple[str, str]:
    path = run / "checkpoints" / CARD
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, ValueError, TypeError, AttributeError):
        return "", ""


@lru_cache(maxsize=512)
def _read(path: Path, _changed: int) -> tuple[str, str]:
    card = json.loads(path.read_text("utf-8"))
    return str(card.get("task", "")), str(card.get("architecture", ""))
