"""What a result comes to in a table of many."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scanlearn.prediction.overview import all_columns, overview
from scanlearn.prediction.summary import read_prediction
from scanlearn.scans.tables.finding_table import Finding, write_findings

CLASSES = [{"value": 1, "name": "lesion", "ml": 12.5}]


def told(folder, **facts):
    about = {
        "run": "run",
        "task": "any",
        "scan": "scan",
        "source": "nifti",
        "grid": {"shape": [2, 3, 4], "affine": np.eye(4).tolist()},
        "tables": [],
    }
    (folder / "scan_prediction.json").write_text(json.dumps(about | facts))
    return overview(read_prediction(folder / "scan_prediction.json"))


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"classes": CLASSES, "lungs": {"laa950_percent": 7.0}},
         {"lesion ml": 12.5, "LAA-950 %": 7.0}),
        ({"classes": CLASSES,
          "parts": [{"lung": "both", "part": "whole", "lesion_percent": 3.0}]},
         {"lesion %": 3.0}),
        ({"label": ["effusion"], "probabilities_of": {"effusion": 0.9}},
         {"label": "effusion", "p effusion": 0.9}),
        ({"label": [], "probabilities_of": {"effusion": 0.1}},
         {"label": "none", "p effusion": 0.1}),
        ({"outcome": {"relative_risk": 1.2}}, {"relative_risk": 1.2}),
    ],
)  # fmt: skip
def test_each_kind_of_result_has_its_numbers(tmp_path, facts, expected):
    assert told(tmp_path, **facts) == expected


def test_findings_are_counted_from_a_score_on(tmp_path):
    found = [
        Finding(score, (0, 0, 0), size, "nodule")
        for score, size in ((0.9, 6.0), (0.31, 11.26), (0.2, 30.0))
    ]
    write_findings(tmp_path / "scan_findings.csv", found)
    cells = told(
        tmp_path, task="detection", shape="sphere", tables=["scan_findings.csv"]
    )
    assert cells == {
        "findings": 2,
        "best score": 0.9,
        "largest mm": 11.3,
        "reviewed": 0,
        "real": 0,
    }


def test_columns_come_once_in_order():
    assert all_columns([{"a": 1, "b": 2}, {"b": 3, "c": None}]) == ["a", "b", "c"]
