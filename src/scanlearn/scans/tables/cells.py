"""What the text of a table's cell, or of a field, says."""

from __future__ import annotations

import math


def number_of(text: str) -> float:
    """Return the number a text holds, to the last digit; NaN for anything else."""
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan
