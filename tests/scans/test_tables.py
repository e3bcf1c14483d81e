"""Label tables: what is read, and what is refused with the row named."""

from __future__ import annotations

import pandas as pd
import pytest

from scanlearn.errors import BadLabels
from scanlearn.scans.tables.label_tables import read_table, write_table


@pytest.fixture
def table(tmp_path):
    """Return a function that writes a table beside two scans."""
    (tmp_path / "scans").mkdir()
    for name in ("a.nii.gz", "b.nii.gz"):
        (tmp_path / "scans" / name).touch()

    def write(text, name="table.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_text(text, encoding=encoding)
        return path

    return write


def test_paths_are_relative_to_the_table_and_numbers_are_numbers(table, tmp_path):
    path = table(
        "path,patient,label,x,y,z,diameter,fev1\n"
        "scans/a.nii.gz,007,1,1.5,-2,3,8,2.1\n"
        "\n"
        "scans/b.nii.gz,8,1;2,,,,,\n"
    )
    rows = read_table(path, needed=[["x", "y", "z", "diameter"]])
    assert rows["path"].tolist() == [
        tmp_path / "scans" / "a.nii.gz",
        tmp_path / "scans" / "b.nii.gz",
    ]
    assert rows["patient"].tolist() == ["007", "8"]
    assert rows["label"].tolist() == ["1", "1;2"]
    assert rows.loc[0, ["x", "y", "z", "diameter"]].tolist() == [1.5, -2, 3, 8]
    assert rows.loc[1, ["x", "y", "z", "diameter"]].isna().all()
    assert rows["fev1"].dtype == float


def test_a_byte_order_mark_and_umlauts_are_read(table):
    path = table("path,label\nscans/a.nii.gz,Lungengerüst\n", encoding="utf-8-sig")
    assert read_table(path)["label"][0] == "Lungengerüst"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no table"),
        ("file,label\nscans/a.nii.gz,1\n", "no column 'path'"),
        ("path,label\n", "no rows"),
        ("path,label,label\nscans/a.nii.gz,1,2\n", "'label' twice"),
        ("path,label,\nscans/a.nii.gz,1,2\n", "no name"),
        ("path,label\nscans/a.nii.gz,1,2\n", "no table"),
        ("path,label\nscans/a.nii.gz,1\nscans/c.nii.gz,1\n", "row 3: path names"),
        ("path,label\n\nscans/a.nii.gz,1\n,1\n", "row 4: path is empty"),
        ("path,x,y,z\nscans/a.nii.gz,1,left,2\n", "row 2: y is 'left'"),
        ("path,x,y,z\nscans/a.nii.gz,1,,2\n", "row 2: x, y, z is filled in part"),
        ("path,x,y,z,diameter\nscans/a.nii.gz,1,1,2,0\n", "row 2: diameter is 0"),
        ("path,time,event\nscans/a.nii.gz,3,2\n", "row 2: event is 2"),
        ("path,split\nscans/a.nii.gz,training\n", "row 2: split is 'training'"),
        (
            "path,patient,split\nscans/a.nii.gz,p,train\nscans/b.nii.gz,p,test\n",
            "patient p in train and test",
        ),
    ],
)
def test_bad_tables_are_refused(table, text, message):
    with pytest.raises(BadLabels, match=message) as error:
        read_table(table(text))
    assert "table.csv" in str(error.value)
    assert error.value.next_step


def test_a_missing_table_is_refused(tmp_path):
    with pytest.raises(BadLabels, match="does not exist"):
        read_table(tmp_path / "none.csv")


def test_whoever_reads_says_which_columns_are_needed(table):
    path = table("path,label,fev1\nscans/a.nii.gz,1,80\n")
    assert read_table(path, needed=[["fev1"]])["fev1"].tolist() == [80]
    assert len(read_table(path, needed=[["x", "y", "z"], ["label"]])) == 1
    with pytest.raises(BadLabels, match="Expected also mask or x, y"):
        read_table(path, needed=[["mask"], ["x", "y"]])


def test_what_is_written_is_read_again(table, tmp_path):
    scans = tmp_path / "scans"
    rows = [
        {"path": "a.nii.gz", "label": "lung, right", "time": 0.1 + 0.2, "event": 1},
        {"path": "b.nii.gz", "label": 'the "other"', "time": 7.0, "event": 0},
    ]
    write_table(scans / "findings.csv", rows)
    back = read_table(scans / "findings.csv")
    assert back["label"].tolist() == [row["label"] for row in rows]
    assert back["time"].tolist() == [row["time"] for row in rows]
    write_table(scans / "again.csv", pd.DataFrame(rows))
    assert (scans / "again.csv").read_text() == (scans / "findings.csv").read_text()
    assert {f.name for f in scans.iterdir()} == {
        "a.nii.gz",
        "b.nii.gz",
        "again.csv",
        "findings.csv",
    }
