"""Survival of patients with more and with less predicted risk, as a figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from scanlearn.config.palette import class_colour
from scanlearn.files import written_beside
from scanlearn.scans.tables.results import DISCLAIMER
from scanlearn.tasks.outcome.models import Floats, Outcomes, concordance


def draw_risk_groups(path: Path, y: Outcomes, risk: Floats) -> str:
    """Draw Kaplan-Meier curves of the halves of patients by risk; returns a caption.

    Parameters
    ----------
    path
        The PNG to write.
    y
        Times and events.
    risk
        (n,) of the same patients, by models that did not see them.
    """
    from lifelines import KaplanMeierFitter
    from lifelines.statistics import logrank_test
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    high = risk > np.median(risk)
    figure = Figure(figsize=(5, 3.4), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for value, (name, group) in enumerate((("lower", ~high), ("higher", high)), 1):
        if not group.any():
            continue
        curve = KaplanMeierFitter(label=f"{name} risk, n = {group.sum()}")
        curve.fit(y.value[group], y.event[group])
        curve.plot_survival_function(ax=axes, color=class_colour(value))
    test = logrank_test(y.value[high], y.value[~high], y.event[high], y.event[~high])
    caption = (
        f"Held-out patients by predicted risk: concordance {concordance(y, risk):.2f}, "
        f"log-rank p = {test.p_value:.2g}"
    )
    axes.set(ylim=(0, 1.02), xlabel="time", ylabel="without event")
    axes.set_title(f"{caption}\n{DISCLAIMER}", fontsize=7)
    with written_beside(path) as draft, draft.open("wb") as stream:
        figure.savefig(stream, format="png")
    return caption
