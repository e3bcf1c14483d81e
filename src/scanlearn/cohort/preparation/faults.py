"""What went wrong with a scan on its way into a cohort, and whether it ends the way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TypeGuard

from scanlearn.cohort.layout import Layout
from scanlearn.errors import of_the_world


def cannot_be_written(
    error: BaseException | None, layout: Layout
) -> TypeGuard[BaseException]:
    """Whether a preparation failed for its cohort's place, not for its scan."""
    if not isinstance(error, OSError):
        return False  # of a file that cannot be read, readers tell as of a bad scan
    if not error.filename:
        return True
    return layout.root in Path(os.fsdecode(error.filename)).parents


def reason_of(error: BaseException | None) -> str:
    """Return why a scan could not be prepared, in a sentence."""
    mendable = None if error is None else of_the_world(error)
    if mendable is not None:
        return str(mendable)
    return f"{type(error).__name__}: {error}"
