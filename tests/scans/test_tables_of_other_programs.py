"""Tables as spreadsheets and people write them: encodings, numbers, names."""

from __future__ import annotations

import csv
import io
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.cohort.exclusions import read_exclusions
from scanlearn.errors import BadLabels
from scanlearn.scans.tables.label_tables import read_table
from scanlearn.scans.tables.named_files import named_file
from scanlearn.scans.tables.numbers import column_of_numbers, readings

ENCODINGS = {
    "utf-8": b"",
    "utf-8-sig": b"",
    "utf-16": b"",
    "utf-16-le": b"",
    "utf-16-be": b"",
    "utf-32": b"",
    "utf-16-be with mark": b"\xfe\xff",
}
words = st.text("aäöüßéñ甲Ω, ;'-_x9", min_size=1, max_size=8).map(str.strip)


def written(rows: list[list[str]], separator: str, end: str) -> str:
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator, lineterminator=end).writerows(rows)
    return stream.getvalue()


@given(
    encoding=st.sampled_from(list(ENCODINGS)),
    separator=st.sampled_from(",;\t|"),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    told=st.booleans(),
    labels=st.lists(words, min_size=1, max_size=4),
    sizes=st.lists(st.integers(1, 99999), min_size=4, max_size=4),
    blank=st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_the_same_table_in_every_dress(
    encoding: str, separator: str, end: str, told: bool, labels: list[str],
    sizes: list[int], blank: bool,
) -> None:  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        rows = [["Path" if blank else "path", "label", "spacing", "note"]]
        for number, label in enumerate(labels):
            Path(folder, f"scan {number}.nii.gz").touch()
            sign = "," if separator == ";" else "."
            size = f"{sizes[number] / 1000:.4f}".replace(".", sign)
            rows.append([f"scan {number}.nii.gz", label, size, "x"])
        text = written(rows, separator, end)
        if told and separator != "|" and end != "\r":
            text = f"sep={separator}{end}{text}"
        name, mark = encoding.split(" ")[0], ENCODINGS[encoding]
        path = Path(folder, "table.csv")
        path.write_bytes(mark + text.encode(name))
        table = read_table(path)
        assert list(table["label"]) == labels
        assert [p.name for p in table["path"]] == [r[0] for r in rows[1:]]
        right = np.array(sizes[: len(labels)]) / 1000
        assert np.allclose(table["spacing"], right)


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "mac-roman", "cp1250"])
def test_other_encodings_are_refused_with_the_line(
    tmp_path: Path, encoding: str
) -> None:
    (tmp_path / "a.nii").touch()
    (tmp_path / "t.csv").write_bytes("path,label\na.nii,Größe\n".encode(encoding))
    with pytest.raises(
        BadLabels, match=r"line 2 holds a letter .* not in UTF-8.*CSV UTF-8"
    ):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04\0\0", "ZIP archive .or an Excel workbook"),
        (b"\xd0\xcf\x11\xe0\0\0", "old Excel workbook"),
        (b"\0\0\0\0", "zeros"),
        (b"", "no table"),
        (b"pa\0th,label\n", "no text"),
    ],
)
def test_what_is_no_table_is_called_by_its_name(
    tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(BadLabels, match=words):
        read_table(tmp_path / "t.csv")


def numbers(*texts: str, commas: bool = False, semicolons: bool = False):
    cells = [readings(text) for text in texts]
    return column_of_numbers(cells, commas=commas, semicolons=semicolons)


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1.5", "2"], [1.5, 2]),
        (["1,5", "2"], [1.5, 2]),
        (["0,625"], [0.625]),
        (["-12,5", "1,234"], [-12.5, 1.234]),
        (["12.5", "1,234"], [12.5, 1234]),
        (["1.234,5", "1.234"], [1234.5, 1234]),
        (["1,234.5"], [1234.5]),
        (["1 234,5"], [1234.5]),
        (["1\u00a0234"], [1234]),
        (["1'234.5"], [1234.5]),
        (["\u22121.5"], [-1.5]),
        (["1.500", "2.250"], [1.5, 2.25]),
        (["1,234,567"], [1234567]),
        (["1e3", "1.5E-2"], [1000, 0.015]),
        (["1,5e3"], [1500]),
    ],
)
def test_numbers_that_mean_one_thing(texts: list[str], values: list[float]) -> None:
    assert numbers(*texts) == pytest.approx(values)


def test_a_number_that_means_two_is_refused_or_decided_by_the_table() -> None:
    assert numbers("1,234") == "1,234"
    assert numbers("1,234", semicolons=True) == [1.234]
    assert numbers("1,234", commas=True) == [1.234]
    assert numbers("1.234", commas=True) == "1.234"
    assert numbers("1.234") == [1.234]


@pytest.mark.parametrize(
    "text",
    ["1_000", "0x10", "nan", "inf", "1,,5", "1.2.3", "--1", "5 %", "", "1,23,456"],
)
def test_no_number_is_no_number(text: str) -> None:
    assert not readings(text).is_number


@given(
    st.floats(-1e9, 1e9), st.booleans(), st.sampled_from(["", ",", " ", "\u202f", "'"])
)
def test_every_spelling_of_a_number_is_read(
    value: float, comma: bool, thousands: str
) -> None:
    text = f"{value:,.2f}"
    whole, fraction = text.split(".")
    sign = "," if comma else "."
    if thousands == "," and comma:
        thousands = "."
    found = readings(whole.replace(",", thousands) + sign + fraction)
    assert (found.commas if comma else found.points) == pytest.approx(round(value, 2))
    assert not found.has_two


names = st.text(
    st.sampled_from("aöéñÅẞ가ｶ x1-_#%&[]()'"), min_size=1, max_size=10
).filter(lambda name: name.strip(" .") == name)


@given(
    parts=st.lists(names, min_size=1, max_size=3),
    on_disk=st.sampled_from(["NFC", "NFD"]),
    in_table=st.sampled_from(["NFC", "NFD"]),
    back=st.booleans(),
)
@settings(max_examples=100, deadline=None)
def test_names_are_found_in_every_form(
    parts: list[str], on_disk: str, in_table: str, back: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, *(unicodedata.normalize(on_disk, p) for p in parts))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        text = ("\\" if back else "/").join(
            unicodedata.normalize(in_table, part) for part in parts
        )
        assert named_file(Path(folder), text) == path.resolve()


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (r"C:\data\a.nii.gz", "another computer"),
        (r"\\server\share\a.nii.gz", "another computer"),
        ("A.NII.GZ", "but a.nii.gz does"),
        ("b.nii.gz", "does not exist"),
        ("x" * 300, "does not exist"),
    ],
)
def test_names_that_nearly_match_are_told(
    tmp_path: Path, cell: str, words: str
) -> None:
    (tmp_path / "a.nii.gz").touch()
    (tmp_path / "t.csv").write_text(f"path\n{cell}\n")
    with pytest.raises(BadLabels, match=words):
        read_table(tmp_path / "t.csv")


def test_exclusions_of_other_programs_are_understood(tmp_path: Path) -> None:
    (tmp_path / "scans").mkdir()
    (tmp_path / "scans" / "Größe.nii").touch()
    text = "source;reason\nscans\\Gro\u0308ße.nii;unscharf\n"
    (tmp_path / "x.csv").write_text(text, encoding="utf-16")
    ((source, reason),) = read_exclusions(tmp_path / "x.csv").items()
    assert (Path(source.path).name, reason) == ("Größe.nii", "unscharf")
