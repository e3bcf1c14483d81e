"""Tables of findings and results: round trips, marks, and damaged files."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scanlearn.errors import BadLabels
from scanlearn.scans.tables.finding_table import (
    BoxFinding,
    Finding,
    read_box_findings,
    read_findings,
    write_findings,
)
from scanlearn.scans.tables.results import read_results, write_results

millimetres = st.floats(-2000, 2000)
findings = st.builds(
    Finding,
    st.floats(0, 1),
    st.tuples(millimetres, millimetres, millimetres),
    st.floats(1e-3, 500),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20),
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(findings, max_size=5))
def test_findings_come_back_to_the_last_digit(tmp_path, found):
    path = tmp_path / "a_findings.csv"
    write_findings(path, found)
    assert read_findings(path) == found


boxes = st.builds(
    BoxFinding,
    st.floats(0, 1),
    st.tuples(*[st.floats(-50, 5000)] * 2, *[st.floats(1e-3, 5000)] * 2),
    st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=20),
)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.lists(boxes, max_size=5))
def test_boxes_come_back_to_the_last_digit(tmp_path, found):
    path = tmp_path / "a_findings.csv"
    write_findings(path, found, BoxFinding)
    assert read_box_findings(path) == found
    header = path.read_text().splitlines()[0]
    assert header.startswith("score,x_px,y_px,width_px,height_px,class,")


def test_another_library_reads_the_table(tmp_path):
    path = tmp_path / "new" / "a_findings.csv"
    found = [
        Finding(0.91, (-62.5, 11.0, -140.25), 8.4, 'nodule, "solid"'),
        Finding(0.3, (1 / 3, 0.0, 5.0), 4.0, "Knötchen"),
    ]
    write_findings(path, found)
    table = pd.read_csv(path, float_precision="round_trip")
    assert list(table.columns) == [
        *("score", "x", "y", "z", "diameter_mm", "class", "not_for_clinical_use")
    ]
    assert table["x"].tolist() == [-62.5, 1 / 3]
    assert table["class"].tolist() == ['nodule, "solid"', "Knötchen"]
    assert table["not_for_clinical_use"].tolist() == ["yes", "yes"]


def test_a_table_of_nothing_is_marked_too(tmp_path):
    write_findings(tmp_path / "a_findings.csv", [])
    assert "not_for_clinical_use" in (tmp_path / "a_findings.csv").read_text()
    assert read_findings(tmp_path / "a_findings.csv") == []


def test_what_a_spreadsheet_saves_is_read(tmp_path):
    path = tmp_path / "a.csv"
    text = "class,score,x,y,z,diameter_mm,mine\r\nnodule,0.5,1,2,3,4,keep\r\n\r\n"
    path.write_text(text, encoding="utf-8-sig")
    assert read_findings(path) == [Finding(0.5, (1.0, 2.0, 3.0), 4.0, "nodule")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column 'score'"),
        ("score,x,y\n1,2,3\n", "no column 'z'"),
        ("score,x,y,z,diameter_mm,class\n1,2,3\n", "row 2 has 3 cells"),
        ("score,x,y,z,diameter_mm,class\n0.5,here,2,3,4,a\n", "row 2: could not"),
        ("score,x,y,z,diameter_mm,class\n2,1,2,3,4,a\n", "row 2: a score"),
        ("score,x,y,z,diameter_mm,class\n1,1,2,nan,4,a\n", "row 2: a centre"),
        ("score,x,y,z,diameter_mm,class\n1,1,2,3,0,a\n", "row 2: a diameter"),
        ('score,x,y,z,diameter_mm,class\n1,1,2,3,4,"a\n', "unexpected end"),
    ],
)
def test_a_damaged_table_is_refused_with_its_row(tmp_path, text, words):
    path = tmp_path / "a_findings.csv"
    path.write_text(text)
    with pytest.raises(BadLabels, match=words):
        read_findings(path)


def test_a_table_that_is_not_there_is_told(tmp_path):
    with pytest.raises(BadLabels, match=r"none\.csv"):
        read_findings(tmp_path / "none.csv")


def test_a_value_that_was_not_measured_is_an_empty_cell(tmp_path):
    path = tmp_path / "a.csv"
    write_results(path, ["name", "value"], [{"name": "a", "value": None}])
    assert path.read_text() == "name,value,not_for_clinical_use\na,,yes\n"
    assert read_results(path, ["value"]) == [{"value": ""}]
    assert math.isnan(pd.read_csv(path)["value"][0])


def test_a_disk_that_swallows_rows_is_noticed(tmp_path, monkeypatch):
    monkeypatch.setattr("scanlearn.scans.tables.results._cells", lambda path: [])
    with pytest.raises(OSError, match="differs when it is read again"):
        write_results(tmp_path / "a.csv", ["name"], [{"name": "a"}])
    assert list(tmp_path.iterdir()) == []
