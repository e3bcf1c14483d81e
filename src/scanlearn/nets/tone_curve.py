"""A fixed curve of intensities in front of an encoder."""

from __future__ import annotations

from torch import Tensor, nn

#: Share of the range [-1, 1] that what is darker than the knee takes afterwards.
_DARK = 0.75


class ToneCurve(nn.Module):
    """Stretches what is darker than a knee and squeezes the rest; nothing is cut off.

    From air to the densest tissue of the methods' window, a hole of emphysema and the
    lung around it differ by a twelfth of the range, a vessel and the lung by most of
    it: then vessels alone tell patients apart. With the knee above aerated lung both
    differences are of one size.

    Parameters
    ----------
    knee
        In (-1, 1), as the networks see intensities; None leaves them alone.
    """

    def __init__(self, knee: float | None) -> None:
        super().__init__()
        if knee is not None and not -1 < knee < 1:
            raise ValueError(f"a knee lies between -1 and 1, not at {knee}")
        self.knee = knee

    def forward(self, x: Tensor) -> Tensor:
        """Map [-1, 1] onto itself, linearly on both sides of the knee."""
        if self.knee is None:
            return x
        dark = x.clamp(max=self.knee)
        bright = (x - dark) * (2 * (1 - _DARK) / (1 - self.knee))
        return (dark + 1) * (2 * _DARK / (self.knee + 1)) - 1 + bright
