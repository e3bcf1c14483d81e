"""Whether a clustering training learns: which clusters are used, and for what."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from scanlearn import processes
from scanlearn.nets.clustering import UNASSIGNED
from scanlearn.pretraining.shared.effective_rank import effective_rank
from scanlearn.runs.events import Health

#: Weight of the newest step in the running means.
_NEWEST = 0.05

#: Fewer clusters than this in use are a collapse.
_FEWEST = 1.5

#: Standard deviation of unit vectors' coordinates, relative to spread-out ones.
_COLLAPSED = 0.05

#: From this share of what guessing loses on, a loss says nothing yet.
_CHANCE = 0.97

#: Terms whose losses are relative to guessing, and what they do not do yet.
_RELATIVE = {
    "intra": "views of images do not agree on a cluster yet",
    "inter": "views of volumes do not agree on a cluster yet",
    "dense": "the clusters of pixels are not told yet",
}

#: Mutual information with the source above which clusters merely name it.
_NAMES_SOURCE = 0.7

#: Steps before features that look alike say anything.
_PATIENCE = 30

Light = Literal["green", "amber", "red"]


@dataclass(frozen=True)
class Use:
    """How samples are spread over clusters.

    Parameters
    ----------
    entropy
        Of the clusters' shares, relative to even ones.
    effective
        exp of the entropy: as many clusters, evenly used, would have it.
    clusters
        How many there are.
    changed
        Share of what the last epoch's clusters no longer tell of this one's,
        1 - mutual information; None before there are two.
    source
        Mutual information with the source; None where there is but one.
    """

    entropy: float
    effective: float
    clusters: int
    changed: float | None
    source: float | None


def use_of(assigned: Tensor, before: Tensor, sources: Tensor, clusters: int) -> Use:
    """Measure the clusters (n,) of samples, those of an epoch ago, and sources (n,)."""
    known = assigned != UNASSIGNED
    counts = torch.bincount(assigned[known], minlength=clusters).double()
    share = counts / counts.sum().clamp_min(1)
    entropy = float(-torch.special.xlogy(share, share).sum())
    both = known & (before != UNASSIGNED)
    several = len(sources[known].unique()) > 1
    return Use(
        entropy=entropy / math.log(clusters) if clusters > 1 else 0.0,
        effective=math.exp(entropy),
        clusters=clusters,
        changed=1 - mutual_information(assigned[both], before[both])
        if both.any()
        else None,
        source=mutual_information(assigned[known], sources[known]) if several else None,
    )


def mutual_information(a: Tensor, b: Tensor) -> float:
    """Return the mutual information of labels (n,), over the mean of their entropies.

    1 where either tells the other, 0 where neither says anything of it.
    """
    _, a = a.unique(return_inverse=True)
    _, b = b.unique(return_inverse=True)
    table = torch.zeros(int(a.max()) + 1, int(b.max()) + 1, dtype=torch.float64)
    table.index_put_((a, b), torch.ones(len(a), dtype=torch.float64), accumulate=True)
    joint = table / table.sum()

    def entropy(p: Tensor) -> float:
        return float(-torch.special.xlogy(p, p).sum())

    own = entropy(joint.sum(dim=1)) + entropy(joint.sum(dim=0))
    return max(0.0, 2 * (own - entropy(joint)) / own) if own > 0 else 1.0


@dataclass
class ClusterHealth:
    """Running means over steps, and the light they add up to."""

    means: dict[str, float] = field(default_factory=dict)

    def add(self, values: dict[str, Tensor]) -> None:
        """Take in the values of one step."""
        if not values:
            return
        told = processes.mean(torch.stack([value.float() for value in values.values()]))
        for name, new in zip(values, told.tolist(), strict=True):
            if math.isfinite(new):
                old = self.means.get(name, new)
                self.means[name] = old + _NEWEST * (new - old)

    def features(self, z: Tensor) -> None:
        """Take in the features (n, d) of one step, of unit length."""
        if z.isfinite().all():
            spread = z.float().std(dim=0).mean() * math.sqrt(z.shape[1])
            self.add({"spread": spread, "rank": effective_rank(z)})

    def report(self, step: int, uses: dict[str, Use]) -> Health | None:
        """Return the light, one sentence and the numbers behind it.

        ``uses`` holds those of ``images`` and of ``volumes``, where they are trained.
        """
        if not self.means:
            return None
        values = dict(self.means)
        for name, use in uses.items():
            values[f"{name}_usage"] = use.entropy
            values[f"{name}_clusters"] = use.effective
            if use.changed is not None:
                values[f"{name}_changed"] = use.changed
            if use.source is not None:
                values[f"{name}_source"] = use.source
        light, sentence = self._judge(step, uses)
        return Health(
            step=step,
            light=light,
            sentence=sentence,
            values={name: round(value, 4) for name, value in values.items()},
        )

    def _judge(self, step: int, uses: dict[str, Use]) -> tuple[Light, str]:
        for name, use in uses.items():
            if use.effective < _FEWEST:
                return "red", (
                    f"All {name} fall into one cluster: the training has collapsed. "
                    f"Start again with more {name}.clusters, or {name}.sinkhorn=3."
                )
        if self.means.get("spread", 1.0) < _COLLAPSED and step >= _PATIENCE:
            return "red", (
                "All images look the same to the network: lower "
                "optimiser.learning_rate."
            )
        for name, use in uses.items():
            if use.source is not None and use.source > _NAMES_SOURCE:
                return "amber", (
                    f"The clusters of the {name} merely tell where they come from: "
                    f"more {name}.clusters, or one kind of scan, would help."
                )
        told = "; ".join(
            f"{name} are spread over {use.effective:.0f} of {use.clusters} clusters"
            for name, use in uses.items()
        )
        behind = self._behind()
        if behind:
            parts = [told, "but " * bool(told) + " and ".join(behind)]
            return "amber", _sentence(", ".join(filter(None, parts)))
        return "green", _sentence(told or "hidden slices are predicted")

    def _behind(self) -> list[str]:
        """Return what is trained and no better than guessing, or than copying."""
        means = self.means
        found = [
            f"{words} ({means[name]:.2f} of guessing)"
            for name, words in _RELATIVE.items()
            if means.get(name, 0.0) > _CHANCE
        ]
        hidden = means.get("masked", 0.0)
        if hidden > means.get("copied", hidden):
            copied = means["copied"]
            found.append(
                f"hidden slices are not yet predicted better than by a copy of their "
                f"neighbours ({hidden:.2f}, a copy {copied:.2f})"
            )
        elif hidden > means.get("guessed", hidden):
            found.append(
                f"hidden slices are not yet predicted better than by the mean of "
                f"their volume ({hidden:.2f}, the mean {means['guessed']:.2f})"
            )
        return found


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."
