"""Whether a contrastive training learns: measures that cannot be talked up."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from scanlearn import processes
from scanlearn.pretraining.shared.effective_rank import effective_rank
from scanlearn.runs.events import Health

#: Weight of the newest step in the running means.
_NEWEST = 0.05

#: Retrieval over chance from which a training is good, and below which it is not.
_GOOD, _POOR = 3.0, 1.5

#: From this share of what guessing loses on, a loss says nothing yet.
_CHANCE = 0.97

#: Standard deviation of unit vectors' coordinates, relative to spread-out ones.
_COLLAPSED = 0.1

#: Steps before a poor retrieval says anything.
_PATIENCE = 300

#: Terms of the loss, in words.
_TERMS = {
    "local": "finding a patch among those of its place",
    "neighbouring": "finding it by its neighbours",
}

Light = Literal["green", "amber", "red"]


class ContrastHealth:
    """Running means over steps, and the light they add up to.

    Parameters
    ----------
    batch
        Patients a landmark: chance of retrieval is ``1 / batch``.
    """

    def __init__(self, *, batch: int) -> None:
        self.batch = batch
        self._means: dict[str, float] = {}

    def add(
        self,
        queries: Tensor,
        keys: Tensor,
        logits: Tensor,
        accuracy: Tensor,
        losses: dict[str, Tensor] | None = None,
    ) -> None:
        """Take in one step: queries and keys (G, B, D), logits (G, B, 1 + N).

        Queries and keys are those of all processes, the rest is of each its own.
        ``losses`` holds each term that is trained under its name.
        """
        if not queries.isfinite().all():
            return  # the loop stops at such a loss and says so
        rest = logits[..., 1:]
        seen = rest.isfinite()
        count = seen.sum(dim=-1)
        hardest_mean = rest.where(seen, 0).sum(dim=-1) / count.clamp_min(1)
        flat = queries.flatten(0, 1)
        values = {
            "retrieval": accuracy,
            "gap": (logits[..., 0] - hardest_mean).mean(),
            "chance_loss": (count + 1).float().log().mean(),
            "spread": flat.std(dim=0).mean() * math.sqrt(flat.shape[-1]),
            "rank": effective_rank(flat),
            **(losses or {}),
        }
        told = processes.mean(torch.stack([value.float() for value in values.values()]))
        for name, new in zip(values, told.tolist(), strict=True):
            old = self._means.get(name, new)
            self._means[name] = old + _NEWEST * (new - old)

    def report(self, step: int, *, queue_fill: float) -> Health | None:
        """Return the light, one sentence and the numbers behind it."""
        if not self._means:
            return None
        times = self._means["retrieval"] * self.batch
        values = {**self._means, "times_chance": times, "queue_fill": queue_fill}
        light, sentence = self._judge(step, times)
        return Health(
            step=step,
            light=light,
            sentence=sentence,
            values={name: round(value, 4) for name, value in values.items()},
        )

    def _judge(self, step: int, times: float) -> tuple[Light, str]:
        if self._means["spread"] < _COLLAPSED:
            return "red", (
                "All patches look the same to the encoder: lower "
                "optimiser.learning_rate or raise temperature."
            )
        told = f"Patches of one place are told apart {times:.1f}x better than chance"
        # With few patients a batch, three times chance may be out of reach.
        good = min(_GOOD, 1 + 0.6 * (self.batch - 1))
        behind = self._behind()
        if times >= good and not behind:
            return "green", f"{told}: it is learning."
        if times >= good:
            return "amber", f"{told}, but {behind} is no better than guessing yet."
        if step < _PATIENCE:
            return "amber", f"{told}: too few steps yet to judge."
        if times >= min(_POOR, good):
            return "amber", f"{told}: more steps or more patients would help."
        return "red", f"{told}: it is not learning; more patients would help most."

    def _behind(self) -> str:
        """Name the first term that loses about what guessing does; else empty."""
        least = _CHANCE * self._means["chance_loss"]
        for name, words in _TERMS.items():
            if self._means.get(name, 0.0) > least > 0:
                return words
        # Relative to guessing already.
        if self._means.get("dense", 0.0) > _CHANCE:
            return "telling the clusters of voxels"
        return ""

    def state(self) -> dict[str, float]:
        """Return the running means."""
        return dict(self._means)

    def load(self, state: dict[str, float]) -> None:
        """Take back the running means."""
        self._means = dict(state)
