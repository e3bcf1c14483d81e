"""How scores are coloured, in points, in boxes and in the bar that explains them."""

from __future__ import annotations

#: Told apart by colour-blind readers, and light where the score is high.
COLORMAP = "plasma"

#: Of the number beside a finding: read on dark lung and on bright bone alike.
TEXT = "#E69F00"
