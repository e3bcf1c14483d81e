"""Labels of radiographs from tables: who shows what, who says nothing."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.classification import ClassificationConfig
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadLabels
from scanlearn.tasks.classification.labels import (
    ImageLabels,
    collect_image_labels,
    labels_of,
)

ASKED = ClassificationConfig()


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(0)
    for n in range(6):
        pixels = rng.integers(0, 255, (20, 24), dtype=np.uint8)
        (folder / "scans").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / "scans" / f"film{n}.png")
    rows = [(f"scans/film{n}.png", f"patient{n // 2}") for n in range(6)]
    write(folder / "scans.csv", ("path", "patient"), rows)
    config = PrepareConfig(radiograph_size=16, workers=0)
    prepare(folder / "scans.csv", folder / "cohort", config)
    return folder


def write(path, header, rows):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return path


def labelled(films, name, cells, header=("path", "label")):
    rows = [(f"scans/film{n}.png", *some) for n, some in cells.items()]
    table = write(films / name, header, rows)
    return collect_image_labels(table, Cohort(films / "cohort"), ASKED)


def test_exclusive_classes_begin_with_what_is_normal(films) -> None:
    cells = {0: ["normal"], 1: ["abnormal"], 2: ["abnormal"], 3: [""]}
    found = labelled(films, "two.csv", cells)
    assert found.classes == ("normal", "abnormal")
    assert not found.several
    sources = Cohort(films / "cohort").sources()
    names = {item.scan: sources[item.scan].path[-5] for item in found.items}
    shown = {names[item.scan]: item.classes for item in found.items}
    assert shown == {"0": ("normal",), "1": ("abnormal",), "2": ("abnormal",)}
    assert len(found.patient_keys) == 2
    assert "3 labelled images of 2 patients" in found.remarks[0]
    assert "normal 1, abnormal 2" in found.remarks[0]
    assert any("3 images of the cohort have no label" in one for one in found.remarks)


def test_findings_are_joined_and_normal_is_none_of_them(films) -> None:
    cells = {0: ["Normal", ""], 1: ["mass; effusion", "train"], 2: ["mass", "test"]}
    found = labelled(films, "some.csv", cells, ("path", "label", "split"))
    assert found.several
    assert found.classes == ("effusion", "mass")
    by_classes = {item.classes: item.split for item in found.items}
    assert by_classes == {(): "", ("mass", "effusion"): "train", ("mass",): "test"}
    assert "none of them 1" in found.remarks[0]


def test_labels_are_saved_without_names_and_shared_out(films, tmp_path) -> None:
    cells = {0: ["a"], 2: ["b"], 4: ["c"]}
    found = labelled(films, "three.csv", cells)
    found.save(tmp_path)
    text = (tmp_path / "image_labels.json").read_text()
    assert "film" not in text
    assert "patient0" not in text
    again = ImageLabels.load(tmp_path)
    assert (again.classes, again.items) == (found.classes, found.items)
    one = found.of(found.patient_keys[:1])
    assert len(one.items) == 1
    assert one.classes == ("a", "b", "c")
    cohort = Cohort(films / "cohort")
    taken = collect_image_labels(tmp_path, cohort, ASKED)
    assert taken.items == found.items


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ({0: ["a"], 1: ["a"]}, "show the same"),
        ({0: ["normal;mass"], 1: ["mass"]}, "that there is nothing, and mass"),
        ({0: [""], 1: [""]}, "No row"),
    ],
)
def test_labels_that_teach_nothing_are_refused(films, cells, said) -> None:
    with pytest.raises(BadLabels, match=said):
        labelled(films, "bad.csv", cells)


def test_two_things_of_one_image_are_refused(films) -> None:
    rows = [("scans/film0.png", "a"), ("scans/film0.png", "b")]
    table = write(films / "twice.csv", ("path", "label"), rows)
    with pytest.raises(BadLabels, match="two things of film0"):
        collect_image_labels(table, Cohort(films / "cohort"), ASKED)


def test_several_labels_are_refused_where_classes_exclude_each_other() -> None:
    asked = ClassificationConfig(kind="exclusive")
    with pytest.raises(BadLabels, match="exclude each other"):
        labels_of({"s": "a;b", "t": "a"}, {"s": "p", "t": "q"}, asked)
    forced = ClassificationConfig(kind="several")
    found = labels_of({"s": "a", "t": "normal"}, {"s": "p", "t": "q"}, forced)
    assert found.several
    assert found.classes == ("a",)
