from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.config.texture import TextureConfig
from scanlearn.errors import BadLabels
from scanlearn.scans.geometry import Grid
from scanlearn.tasks.texture.labels import PlaceSet, collect_places, region_points

CONFIG = TextureConfig()


def write_rows(path, header, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def test_points_of_a_table_are_of_the_cohorts_scans(tiny_cohort, tiny_sample, tmp_path):
    cohort = Cohort(tiny_cohort)
    found = collect_places(tiny_sample / "emphysema_points.csv", cohort, CONFIG)
    with (tiny_sample / "emphysema_points.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(found.places) == len(rows)
    assert found.names[1] == "normal"
    assert set(found.names.values()) == {row["label"] for row in rows}
    row, place = rows[0], found.places[0]
    assert place.point == tuple(float(row[axis]) for axis in "xyz")
    assert found.names[place.label] == row["label"]
    assert place.patient == cohort.record(place.scan).patient
    found.save(tmp_path / "inputs")
    assert PlaceSet.load(tmp_path / "inputs").places == found.places
    assert collect_places(tmp_path, cohort, CONFIG).places == found.places
    text = (tmp_path / "inputs" / "places.json").read_text()
    assert "phantom" not in text.lower()


def test_what_is_wrong_with_a_table_is_said(tiny_cohort, tiny_sample, tmp_path):
    cohort = Cohort(tiny_cohort)
    scan = next((tiny_sample / "scans" / "nifti").glob("*.nii.gz"))
    header = ["path", "x", "y", "z", "label"]
    outside = write_rows(tmp_path / "a.csv", header, [[scan, 9999, 0, 0, "normal"]])
    with pytest.raises(BadLabels, match=r"a\.csv, row 2.*outside"):
        collect_places(outside, cohort, CONFIG)
    nowhere = write_rows(tmp_path / "b.csv", header, [[scan, "", "", "", "normal"]])
    with pytest.raises(BadLabels, match="needs a place"):
        collect_places(nowhere, cohort, CONFIG)
    centre = cohort.record(cohort.keys()[0]).grid
    x, y, z = centre.to_patient((np.array(centre.shape) - 1) / 2)
    one = write_rows(tmp_path / "c.csv", header, [[scan, x, y, z, "normal"]] * 2)
    with pytest.raises(BadLabels, match="one class only"):
        collect_places(one, cohort, CONFIG)
    other = tmp_path / "other.nii.gz"
    other.write_bytes(scan.read_bytes())
    stranger = write_rows(tmp_path / "d.csv", header, [[other, x, y, z, "normal"]])
    with pytest.raises(BadLabels, match="No row"):
        collect_places(stranger, cohort, CONFIG)


def test_patches_of_a_stack_are_labelled_whole(tmp_path):
    rng = np.random.default_rng(0)
    np.save(tmp_path / "p.npy", rng.integers(-1000, -700, (6, 15, 15), np.int16))
    rows = [["p.npy", n, f"patient {n // 2}", "ab"[n % 2]] for n in range(6)]
    table = write_rows(tmp_path / "t.csv", ["path", "index", "patient", "label"], rows)
    prepare(table, tmp_path / "cohort", PrepareConfig(workers=0))
    cohort = Cohort(tmp_path / "cohort")
    found = collect_places(table, cohort, CONFIG)
    assert all(place.point is None for place in found.places)
    assert [place.label for place in found.places] == [1, 2] * 3
    assert len({place.patient for place in found.places}) == 3
    patches = np.load(tmp_path / "p.npy")
    for place, patch in zip(found.places, patches, strict=True):
        assert np.array_equal(cohort.voxels(place.scan)[0], patch)


@settings(max_examples=40, deadline=None)
@given(
    low=st.tuples(*[st.integers(0, 8)] * 3),
    size=st.tuples(*[st.integers(1, 12)] * 3),
    spacing=st.tuples(*[st.sampled_from([0.7, 1.0, 3.0])] * 3),
)
def test_points_of_a_region_are_in_it_and_leave_no_gap(low, size, spacing):
    region = np.zeros((20, 20, 20), bool)
    region[tuple(slice(a, a + n) for a, n in zip(low, size, strict=True))] = True
    z, y, x = spacing
    affine = np.array([[0, 0, -x, 5], [0, y, 0, -3], [z, 0, 0, 7], [0, 0, 0, 1.0]])
    grid = Grid(region.shape, affine)
    points = np.array(region_points(region, grid, 6.0))
    index = np.rint(grid.to_index(points)).astype(int)
    assert region[tuple(index.T)].all()
    everywhere = grid.to_patient(np.argwhere(region))
    away = np.linalg.norm(everywhere[:, None] - points[None], axis=2).min(axis=1)
    # No voxel is farther from a point than a cube's diagonal.
    assert away.max() <= 6.0 * 3**0.5
    assert len(points) <= np.prod(np.ceil(np.array(size) * spacing / 6.0) + 1)


def test_saved_places_need_a_cohort_they_fit(tiny_cohort, tmp_path):
    (tmp_path / "places.json").write_text(json.dumps({"classes": [], "places": [{}]}))
    with pytest.raises(BadLabels, match="cannot be read"):
        collect_places(tmp_path, Cohort(tiny_cohort), CONFIG)
