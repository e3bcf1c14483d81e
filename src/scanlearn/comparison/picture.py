"""The curves of a comparison as a picture."""

from __future__ import annotations

from pathlib import Path

from scanlearn.comparison.verdict import Verdict
from scanlearn.files import written_beside
from scanlearn.tasks.shared.evaluation import Summary

#: Blue and orange of Okabe and Ito, told apart by all eyes.
_ARMS = (
    ("pretrained", "pre-trained", "#0072B2"),
    ("scratch", "from scratch", "#D55E00"),
)

_DPI = 150

#: Above and below the means the picture shows so many times their range, which counts
#: as at least this much; wider bands are cut.
_ROOM, _LEAST_RANGE = 1.5, 0.1


def draw_curves(verdict: Verdict, path: Path, *, score: str) -> None:
    """Draw the mean of both arms over the labels with 95 % intervals of the mean."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    budgets = [point.budget for point in verdict.points]
    every: list[float] = []
    for arm, label, colour in _ARMS:
        found: list[Summary] = [getattr(point, arm) for point in verdict.points]
        means = [summary.mean for summary in found]
        every += means
        axes.plot(budgets, means, "o-", color=colour, label=label)
        # One repeat has no interval.
        lows = [s.mean if s.low is None else s.low for s in found]
        highs = [s.mean if s.high is None else s.high for s in found]
        axes.fill_between(budgets, lows, highs, color=colour, alpha=0.2, lw=0)
    # Two repeats may have bands a hundred times as wide as what the curves do.
    room = _ROOM * max(max(every) - min(every), _LEAST_RANGE)
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, min(every) - room), min(high, max(every) + room))
    axes.set_xscale("log")
    axes.set_xticks(budgets, [str(b) for b in budgets])
    axes.minorticks_off()
    axes.set_xlabel("labelled patients")
    axes.set_ylabel(score)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    repeats = verdict.points[0].gain.n
    axes.set_title("\n".join(_wrapped(verdict.sentences[0])), fontsize=10, loc="left")
    bands = f"{repeats} repeats; bands: 95 % intervals of the mean"
    figure.supxlabel(
        bands if repeats > 1 else "1 repeat: no intervals",
        fontsize=8,
        x=0.99,
        ha="right",
    )
    with written_beside(path) as draft:
        figure.savefig(draft, dpi=_DPI)


def _wrapped(text: str, width: int = 78) -> list[str]:
    from textwrap import wrap

    return wrap(text, width)
