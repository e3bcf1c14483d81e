"""How scores are coloured, in points, in boxes and in the bar that explains them."""

from __future__ import annotations

import numpy as np
from qtpy.QtWidgets import QLabel

#: Told apart by colour-blind readers, and light where the score is high.
COLORMAP = "plasma"

#: Of the number beside a finding: read on dark lung and on bright bone alike.
TEXT = "#E69F00"

#: Of what was decided about a finding; a mark beside it says the same.
VERDICTS = {"accepted": "#009E73", "added": "#56B4E9", "rejected": "#9A9A9A"}


def gradient() -> QLabel:
    """Return a bar with the colours of scores from 0 to 1."""
    from napari.utils.colormaps import ensure_colormap

    places = np.linspace(0, 1, 9)
    colours = ensure_colormap(COLORMAP).map(places)
    stops = ", ".join(
        f"stop:{at:.3f} rgb({r:.0f}, {g:.0f}, {b:.0f})"
        for at, (r, g, b) in zip(places, colours[:, :3] * 255, strict=True)
    )
    bar = QLabel()
    bar.setFixedHeight(10)
    bar.setStyleSheet(
        f"background: qlineargradient(x1:0, y1:0, x2:1, y2:0, {stops}); "
        "border-radius: 3px"
    )
    return bar
