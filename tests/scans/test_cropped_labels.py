"""Labels of a part of a scan lie at their own place; layers are told apart."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from scanlearn.errors import BadLabels
from scanlearn.scans.geometry import Grid
from scanlearn.scans.labels.label_arrays import GridMismatch, place_onto
from scanlearn.scans.labels.read_labels import read_label_names, read_named_labels
from scanlearn.scans.turns import Turn

SHAPE = (7, 9, 8)

turns = st.builds(
    Turn,
    st.permutations(range(3)).map(tuple),
    st.sets(st.integers(0, 2)).map(lambda s: tuple(sorted(s))),
)
ranges = st.tuples(
    *[st.tuples(st.integers(-3, n - 1), st.integers(1, 6)) for n in SHAPE]
)


def scan_grid(angles=(0.2, -0.1, 0.3)):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", angles).as_matrix() * (2.5, 0.7, 0.8)
    affine[:3, 3] = (-20, 30, -50)
    return Grid(SHAPE, affine)


@settings(max_examples=80, deadline=None)
@given(box=ranges, turn=turns, seed=st.integers(0, 99))
def test_a_part_is_placed_by_its_geometry(box, turn, seed):
    grid = scan_grid()
    first = np.array([low for low, _ in box])
    size = np.array([high for _, high in box])
    part = grid.cropped(first, size)
    labels = np.random.default_rng(seed).integers(0, 4, part.shape).astype(np.uint8)
    expected, outside = np.zeros(SHAPE, np.uint8), 0
    for index in np.ndindex(part.shape):
        there = first + index
        if (there >= 0).all() and (there < SHAPE).all():
            expected[tuple(there)] = labels[index]
        else:
            outside += labels[index] > 0
    turned, turned_grid = turn.voxels(labels), turn.grid(part)
    if ((first + size <= 0) | (first >= SHAPE)).any():
        with pytest.raises(GridMismatch):
            place_onto(turned, turned_grid, grid, name="a")
        return
    placed, left = place_onto(turned, turned_grid, grid, name="a")
    np.testing.assert_array_equal(placed, expected)
    assert left == outside


def test_voxels_between_those_of_the_scan_are_refused():
    grid = scan_grid()
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_patient((1, 2.4, 1))
    with pytest.raises(GridMismatch, match="another grid"):
        place_onto(
            np.ones((2, 2, 2), np.uint8), Grid((2, 2, 2), affine), grid, name="a"
        )


def write_segments(path, grid, layers, segments):
    """Write layers (n, z, y, x), and segments (name, value, layer)."""
    values = np.moveaxis(np.asarray(layers, np.uint8), 0, -1)
    many = values.shape[-1] > 1
    image = SimpleITK.GetImageFromArray(
        np.ascontiguousarray(values if many else values[..., 0]), isVector=many
    )
    directions = grid.directions[:, ::-1]
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin(grid.affine[:3, 3].tolist())
    image.SetDirection(directions.ravel().tolist())
    for number, (name, value, layer) in enumerate(segments):
        stated = {"ID": f"s{number}", "Name": name, "LabelValue": value, "Layer": layer}
        for key, text in stated.items():
            if text is not None:
                image.SetMetaData(f"Segment{number}_{key}", str(text))
    SimpleITK.WriteImage(image, str(path))


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    first=st.tuples(*[st.integers(0, 3)] * 3),
    old=st.booleans(),
    seed=st.integers(0, 99),
    count=st.integers(1, 3),
)
def test_layers_of_slicer_in_a_part_of_the_scan(tmp_path, first, old, seed, count):
    """Each segment in a layer of its own, as new and as old versions write them."""
    grid = scan_grid()
    part = grid.cropped(first, (3, 4, 4))
    rng = np.random.default_rng(seed)
    layers = np.zeros((count, *part.shape), np.uint8)
    sizes = [40, 12, 3]
    for layer, size in zip(layers, sizes, strict=False):
        layer.reshape(-1)[rng.permutation(layer.size)[:size]] = 1
    names = ["organ", "tumour", "spot"][:count]
    told = [(n, None if old else 1, None if old else k) for k, n in enumerate(names)]
    path = tmp_path / "a.seg.nrrd"
    write_segments(path, part, layers, told)
    expected = np.zeros(part.shape, np.uint8)
    for value, layer in enumerate(layers, start=1):
        expected[layer > 0] = value  # smaller ones later
    whole = np.zeros(SHAPE, np.uint8)
    z, y, x = first
    whole[z : z + 3, y : y + 4, x : x + 4] = expected
    found = read_named_labels(path, like=grid)
    np.testing.assert_array_equal(found.labels, whole)
    shown = {int(value) for value in np.unique(expected) if value}
    kept = {v: n for v, n in enumerate(names, start=1) if v in shown}
    assert found.names == kept
    assert read_label_names(path) == dict(enumerate(names, start=1))
    hidden = int((layers.sum(axis=0) > 1).any())
    assert len([n for n in found.notes if "overlap" in n.text]) == hidden


def test_values_without_a_segment_are_told(tmp_path):
    grid = scan_grid()
    layer = np.zeros(SHAPE, np.uint8)
    layer[1, 1, 1:4], layer[2, 2, 2] = 1, 7
    write_segments(tmp_path / "a.seg.nrrd", grid, layer[None], [("organ", 1, 0)])
    found = read_named_labels(tmp_path / "a.seg.nrrd", like=grid)
    assert set(np.unique(found.labels)) == {0, 1}
    assert found.notes[0].detail == "1 voxels"


def test_names_in_the_header_of_a_nifti_mask(tmp_path):
    import nibabel as nib

    image = nib.Nifti1Image(np.ones((3, 3, 3), np.uint8), np.eye(4))
    table = (
        b"<CaretExtension><LabelTable>"
        b'<Label Key="0" Red="1"><![CDATA[background]]></Label>'
        b'<Label Key="1" Red="1"><![CDATA[spleen]]></Label>\n'
        b'<Label Key="2"><![CDATA[kidney_left]]></Label></LabelTable></CaretExtension>'
    )
    image.header.extensions.append(nib.nifti1.Nifti1Extension(0, table))
    nib.save(image, tmp_path / "a.nii.gz")
    names = {1: "spleen", 2: "kidney_left"}
    assert read_label_names(tmp_path / "a.nii.gz") == names
    assert read_named_labels(tmp_path / "a.nii.gz").names == names


def test_channels_are_refused_in_words(tmp_path):
    values = np.zeros((3, 3, 3, 2), np.uint8)
    image = SimpleITK.GetImageFromArray(values, isVector=True)
    SimpleITK.WriteImage(image, str(tmp_path / "a.nrrd"))
    with pytest.raises(BadLabels, match="one-hot"):
        read_named_labels(tmp_path / "a.nrrd")
