"""Amounts as people read them."""

from __future__ import annotations


def size_text(size: float) -> str:
    """Say how many bytes: ``"1.2 GB"``, ``"340 MB"``."""
    if size >= 1e9:
        return f"{size / 1e9:.1f} GB"
    return f"{size / 1e6:.0f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
