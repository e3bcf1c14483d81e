"""A folder for what a widget computes, gone with the widget or the program."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from qtpy.QtWidgets import QWidget


def scratch_folder(owner: QWidget, purpose: str) -> Path:
    """Make an empty folder that is removed when its owner is destroyed.

    Parameters
    ----------
    owner
        The widget that works with it.
    purpose
        A word in the folder's name, for who finds it while it lives.
    """
    folder = TemporaryDirectory(
        prefix=f"scanlearn-{purpose}-", ignore_cleanup_errors=True
    )
    # The connection keeps the folder; a program that ends at once removes it, too.
    owner.destroyed.connect(lambda: folder.cleanup())
    return Path(folder.name)
