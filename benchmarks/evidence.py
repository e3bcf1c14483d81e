"""The picture and the sentences that the page *Evidence* begins with.

They are made of the results of the other benchmarks, ``benchmarks/results/``: nothing
is trained here. The same figures go to ``src/scanlearn/config/measured.json``, which
the docks recommend by.

Example: python benchmarks/evidence.py
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import stats

from evidence_arms import (
    Draws,
    heart,
    hippocampus,
    nodules,
    pneumonia,
    severity,
    textures,
    tuberculosis,
)
from pages import write_between
from scanlearn.config.measured import FILE, Measured

PAGE = Path(__file__).parents[1] / "docs" / "evidence.md"
PICTURE = PAGE.parent / "images" / "evidence.png"

#: Names of the arms, and their colours in the picture.
_PLAIN, _PRETRAINED, _TWIN = "without pre-training", "pre-trained", "its untrained twin"
_COLOURS = {_PLAIN: "#d55e00", _PRETRAINED: "#0072b2", _TWIN: "#999999"}


@dataclass(frozen=True)
class Panel:
    """One task on one kind of scans.

    Parameters
    ----------
    task, title, on, score, unit
        As they are told.
    arms
        Give the draws without a pre-training, with one, and of its untrained twin.
    earlier
        Whether pre-training, and its twin, were measured with an earlier recipe.
    remark
        What the figures do not say themselves.
    """

    task: str
    title: str
    on: str
    score: str
    unit: str
    arms: Callable[[], tuple[Draws, Draws, Draws]]
    earlier: bool = False
    remark: str = ""

    def measured(self) -> Measured:
        """Return the means and the intervals of the gains."""
        plain, pretrained, twin = self.arms()
        labels = [n for n in sorted(plain) if n in pretrained]
        start = twin if self.earlier else plain
        return Measured(
            task=self.task,
            on=self.on,
            score=self.score,
            unit=self.unit,
            labels=tuple(labels),
            plain=tuple(_mean(plain[n]) for n in labels),
            pretrained=tuple(_mean(pretrained[n]) for n in labels),
            gains=tuple(_gain(start.get(n, ()), pretrained[n]) for n in labels),
            earlier=self.earlier,
        )


PANELS = (
    Panel(
        "segmentation",
        "Hippocampus, MR",
        "MR of the hippocampus",
        "Dice",
        "labelled scans",
        hippocampus,
        remark="After 60 updates of 800 the pre-trained one is ahead; at the end it is "
        "not. The pre-training's light was amber.",
    ),
    Panel(
        "segmentation",
        "Heart, MR slices",
        "MR slices of the heart",
        "Dice",
        "labelled patients",
        heart,
        earlier=True,
        remark="Without: as planned today. With one, and its twin (dashed): 600 "
        "updates on whole fields of view, from a pre-training whose light would be "
        "amber today.",
    ),
    Panel(
        "detection",
        "Nodules of phantoms",
        "chest phantoms",
        "CPM",
        "labelled scans",
        nodules,
    ),
    Panel(
        "texture",
        "Emphysema patches",
        "emphysema patches",
        "balanced accuracy",
        "labels a class",
        textures,
        remark="Without: densities and texture, as `--from-scratch` learns.",
    ),
    Panel(
        "classification",
        "Tuberculosis, radiographs",
        "small chest radiographs (tuberculosis)",
        "AUC",
        "labelled images",
        tuberculosis,
        remark="Without: the whole network from scratch. Seen at 64 pixels.",
    ),
    Panel(
        "classification",
        "Pneumonia, radiographs",
        "chest radiographs of 28 pixels (pneumonia)",
        "AUC",
        "labelled images",
        pneumonia,
        remark="Without: a logistic regression of the pixels. Views changed brightness "
        "much; mild ones did [better](radiographs.md#does-pre-training-help-here).",
    ),
    Panel(
        "outcome",
        "Severity, phantoms",
        "chest phantoms (grade of emphysema)",
        "accuracy",
        "patients",
        severity,
        remark="Without: the histogram of lung densities, which tells lung function "
        "better than a pre-training ([Outcomes](outcomes.md#on-phantoms)).",
    ),
)


def main() -> None:
    rows = [panel.measured() for panel in PANELS]
    FILE.write_text(text_of(rows), "utf-8")
    _draw()
    write_between(PAGE, "evidence", page_of(rows))


def text_of(rows: Sequence[Measured]) -> str:
    """Return the file that the docks read."""
    plain = [json.dumps(row.model_dump(mode="json")) for row in rows]
    return "[\n" + ",\n".join(plain) + "\n]\n"


def page_of(rows: Sequence[Measured]) -> str:
    """Return the sentences and the table."""
    lines = []
    for panel, row in zip(PANELS, rows, strict=True):
        remark = f" {panel.remark}" if panel.remark else ""
        lines.append(f"* **{panel.title}**: {row.sentence()}{remark}")
    lines += ["", "| | labels | draws | without | pre-trained | gain | twin |"]
    lines.append("|---|---|---|---|---|---|---|")
    for panel, row in zip(PANELS, rows, strict=True):
        lines += _table(panel, row)
    return "\n".join(lines) + "\n"


def _table(panel: Panel, row: Measured) -> list[str]:
    plain, pretrained, twin = panel.arms()
    gains = dict(zip(row.labels, row.gains, strict=True))
    lines = []
    for n in sorted(plain.keys() | pretrained.keys()):
        gain = gains.get(n)
        cells = [f"{panel.title}, {panel.score}", str(n)]
        cells.append(
            " / ".join(str(len(arm.get(n, ()))) for arm in (plain, pretrained))
        )
        cells += [_cell(arm.get(n)) for arm in (plain, pretrained)]
        cells.append(f"{gain[0]:+.2f} to {gain[1]:+.2f}" if gain else "–")
        lines.append("| " + " | ".join([*cells, _cell(twin.get(n))]) + " |")
    return lines


def _cell(draws: Sequence[float] | None) -> str:
    if not draws:
        return "–"
    low, high = _interval(draws)
    return f"{np.mean(draws):.2f}" + (f" [{low:.2f}, {high:.2f}]" if low < high else "")


def _mean(draws: Sequence[float]) -> float:
    return round(float(np.mean(draws)), 4)


def _gain(
    without: Sequence[float], given: Sequence[float]
) -> tuple[float, float] | None:
    """Return the interval of the paired difference, where there are pairs."""
    if len(without) != len(given) or len(given) < 2:
        return None
    low, high = _interval(np.subtract(given, without).tolist())
    return round(low, 4), round(high, 4)


def _interval(draws: Sequence[float]) -> tuple[float, float]:
    """Return the 95 % interval of the mean of the draws (Student's t)."""
    mean, n = float(np.mean(draws)), len(draws)
    if n < 2:
        return mean, mean
    half = float(stats.t.ppf(0.975, n - 1) * stats.sem(draws))
    return mean - half, mean + half


def _draw() -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5.6), layout="constrained")
    places = figure.subplots(2, 4).ravel()
    for panel, place in zip(PANELS, places, strict=False):
        arms = zip(_COLOURS.items(), panel.arms(), strict=True)
        for (name, colour), draws in reversed(list(arms)):
            labels = sorted(draws)
            means = [float(np.mean(draws[n])) for n in labels]
            ends = [_interval(draws[n]) for n in labels]
            low, high = np.clip(np.transpose(ends), 0, 1)
            style = "o--" if panel.earlier and name != _PLAIN else "o-"
            place.plot(labels, means, style, color=colour, label=name, ms=4)
            place.fill_between(labels, low, high, color=colour, alpha=0.12, lw=0)
        ticks: list[int] = []
        for n in sorted({n for arm in panel.arms() for n in arm}):
            if not ticks or n > 1.3 * ticks[-1]:
                ticks.append(n)
        place.set_xscale("log")
        place.set_xticks(ticks, [f"{n:g}" for n in ticks])
        place.minorticks_off()
        place.set_title(panel.title, fontsize="medium")
        place.set_xlabel(panel.unit)
        place.set_ylabel(panel.score)
        place.grid(alpha=0.3)
    for place in places[len(PANELS) :]:
        place.axis("off")
    handles, names = places[0].get_legend_handles_labels()
    places[-1].legend(handles[::-1], names[::-1], loc="center", frameon=False)
    figure.savefig(PICTURE, dpi=110)


if __name__ == "__main__":
    main()
