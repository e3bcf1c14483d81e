"""What was measured: verdicts and sentences by hand, and the file from its results."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from scanlearn.config.measured import FILE, Measured, all_measured, worth_of

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def measured(*gains: tuple[float, float] | None, **changes: object) -> Measured:
    n = len(gains)
    facts = {
        "task": "segmentation",
        "on": "livers",
        "score": "Dice",
        "unit": "scans",
        "labels": range(2, 2 + n),
        "plain": [0.5 + 0.1 * k for k in range(n)],
        "pretrained": [0.75] * n,
        "gains": gains,
    }
    return Measured.model_validate(facts | changes)


@pytest.mark.parametrize(
    ("gains", "verdict"),
    [
        ([(0.01, 0.2), (-0.1, 0.1)], "pays"),
        ([(-0.2, -0.01), None], "costs"),
        ([(-0.2, 0.1)], "neither"),
        ([(0.0, 0.1)], "neither"),
        ([(0.01, 0.1), (-0.1, -0.01)], "neither"),
        ([None], "neither"),
    ],
)
def test_only_intervals_that_leave_zero_out_decide(gains, verdict) -> None:
    assert measured(*gains).verdict == verdict


def test_the_sentence_holds_the_ends_of_the_curve() -> None:
    assert measured((0.1, 0.3), None, (0.02, 0.1)).sentence() == (
        "Start from a pre-training. Measured on livers, 2 and 4 scans: "
        "Dice 0.50 and 0.70 without, 0.75 and 0.75 with one."
    )
    assert measured((-0.3, -0.1), earlier=True).sentence() == (
        "Start from scratch: a pre-training cost more than it gave. Measured on "
        "livers, 2 scans: Dice 0.50 without; to an earlier recipe one added "
        "-0.30 to -0.10."
    )


def test_what_docks_say_is_what_the_benchmarks_gave(monkeypatch) -> None:
    if not (BENCHMARKS / "evidence.py").exists():
        pytest.skip("the benchmarks are not here")
    monkeypatch.syspath_prepend(BENCHMARKS)
    evidence = importlib.import_module("evidence")
    rows = [panel.measured() for panel in evidence.PANELS]
    assert FILE.read_text("utf-8") == evidence.text_of(rows)
    assert tuple(rows) == all_measured()
    page = evidence.PAGE.read_text("utf-8")
    assert evidence.page_of(rows) in page
    assert worth_of("texture") in page
