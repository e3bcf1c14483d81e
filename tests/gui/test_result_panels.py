"""What the Predict dock tells of a texture map and of an outcome."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from scanlearn.gui.tasks.outcome.result import OutcomeResult
from scanlearn.gui.tasks.texture.result import TextureResult
from scanlearn.prediction.summary import read_prediction

ABOUT = {
    "run": "2026-11-21_texture",
    "scan": "scan",
    "source": "nifti",
    "grid": {"shape": [2, 3, 4], "affine": np.eye(4).tolist()},
    "tables": [],
}


def written(folder: Path, **facts: Any) -> Any:
    path = folder / "scan_prediction.json"
    path.write_text(json.dumps(ABOUT | facts))
    return read_prediction(path)


def test_each_part_of_the_lungs_is_a_line(qtbot: Any, tmp_path: Path) -> None:
    parts = [
        {"lung": lung, "part": part, "laa950_percent": 12.34, "normal_percent": share}
        for lung, part, share in (
            ("both", "whole", 50.0),
            ("right", "upper third", 75.04),
            ("left", "lower third", None),
        )
    ]
    classes = [{"value": 1, "name": "normal", "ml": 1900.0}]
    panel = TextureResult(None)
    qtbot.addWidget(panel)
    panel.show_prediction(
        written(tmp_path, task="texture", parts=parts, classes=classes), []
    )
    table = panel.table
    lines = [
        [table.item(row, column).text() for column in range(table.columnCount())]
        for row in range(table.rowCount())
    ]
    assert lines == [
        ["Both lungs", "50.0", "12.3"],
        ["Right upper", "75.0", "12.3"],
        ["Left lower", "–", "12.3"],
    ]
    assert panel.legend.lines == ["normal 1,900 ml"]
    assert panel.lungs.isHidden()


def test_an_outcome_stands_beside_how_good_it_was(qtbot: Any, tmp_path: Path) -> None:
    panel = OutcomeResult(None)
    qtbot.addWidget(panel)
    facts = {"outcome": {"fev1_percent": 71.25}, "patients": 12}
    held_out = {"scans": {"R2": 0.61}, "LAA-950": {"R2": 0.5}}
    panel.show_prediction(
        written(tmp_path, task="outcome", held_out=held_out, **facts), []
    )
    assert panel.said.text() == "fev1 percent: 71.2"
    ends = {"fev1_percent_low": 60.0, "fev1_percent_high": 82.5}
    told = facts | {"outcome": facts["outcome"] | ends}
    panel.show_prediction(
        written(tmp_path, task="outcome", held_out=held_out, **told), []
    )
    assert (
        panel.said.text() == "fev1 percent: 71.2 (60 to 82.5 in nine of ten patients)"
    )
    assert "Learned from 12 patients" in panel.trust.text()
    assert "by LAA-950: R2 0.50" in panel.trust.text()
    known = {"covariates": {"age": 63.0, "sex": 1.0}}
    panel.show_prediction(
        written(tmp_path, task="outcome", held_out=held_out, **facts, **known), []
    )
    assert panel.said.text().splitlines()[1] == "By the scan and age 63, sex 1"
    panel.show_prediction(written(tmp_path, task="outcome", held_out={}, **facts), [])
    assert "too few to test on" in panel.trust.text()


def test_a_patient_is_drawn_among_the_cohort(qtbot: Any, tmp_path: Path) -> None:
    panel = OutcomeResult(None)
    qtbot.addWidget(panel)
    facts = {
        "outcome": {"relative_risk": 1.7},
        "patients": 4,
        "held_out": {},
        "kind": "survival",
        "target": "time",
    }
    panel.show_prediction(written(tmp_path, task="outcome", **facts), [])
    assert panel.curve.isHidden()
    assert panel.strip.isHidden()
    among = {"value": 1.7, "cohort": [0.5, 0.9, 1.1, 2.0], "share_below": 0.75}
    curve = {"times": [1.0, 3.0], "survival": [0.8, 0.5], "mean": [0.9, 0.7]}
    told = facts | {"among": among, "curve": curve}
    panel.show_prediction(written(tmp_path, task="outcome", **told), [])
    assert not panel.curve.isHidden()
    x, y = panel.curve.patient.getData()
    assert x[:3].tolist() == [0.0, 1.0, 3.0]
    assert y[:3].tolist() == [1.0, 0.8, 0.5]
    assert panel.strip.line.value() == 1.7
    assert len(panel.strip.others.xData) == 8
    assert "relative risk is above that of 75 % of the 4 patients" in panel.place.text()
