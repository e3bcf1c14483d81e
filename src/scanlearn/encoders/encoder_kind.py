"""What a trained encoder sees, told from its card without opening the network."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from scanlearn.documents import parse_json, read_text

#: Patches with their location, the same as maps of whole scans, or slices.
EncoderKind = Literal["patches", "dense", "slices"]

_KINDS: dict[str, EncoderKind] = {
    "location-encoder": "patches",
    "dense-encoder": "dense",
    "slice-encoder": "slices",
}


def encoder_kind(run: Path) -> EncoderKind | None:
    """Return what a run's encoder sees; None where no card says so."""
    path = run / "checkpoints" / "encoder.json"
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, ValueError, TypeError, KeyError):
        return None


@lru_cache(maxsize=512)
def _read(path: Path, _changed: int) -> EncoderKind:
    return _KINDS[parse_json(read_text(path))["architecture"]]
