"""Layers of real files against nibabel and SimpleITK, by physical position."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from napari.layers import Image, Labels

from scanlearn.errors import BadScan
from scanlearn.gui.viewer.layers import grid_of, origin_of
from scanlearn.gui.viewer.readers import get_reader
from scanlearn.gui.viewer.writers import write_labels_nifti


def test_nifti_voxels_lie_where_nibabel_puts_them(scans_folder: Path) -> None:
    path = next(scans_folder.rglob("*.nii.gz"))
    data, settings, kind = read(path)[0]
    assert kind == "image"
    layer = Image(data, **settings)
    assert layer.axis_labels == ("S", "P", "L")
    assert {str(unit) for unit in layer.units} == {"millimeter"}
    image = nib.load(path)
    values = np.asarray(image.dataobj)
    for index in np.random.default_rng(0).integers(0, data.shape, (50, 3)):
        z, y, x = layer.data_to_world(index)
        there = np.linalg.inv(image.affine) @ (-x, -y, z, 1)
        assert values[tuple(np.rint(there[:3]).astype(int))] == data[tuple(index)]


def test_dicom_voxels_lie_where_simpleitk_puts_them(scans_folder: Path) -> None:
    from SimpleITK import ImageSeriesReader

    folder = next(scans_folder.rglob("*.dcm")).parent
    layers = read(folder)
    assert len(layers) == 1
    data, settings, _ = layers[0]
    layer = Image(data, **settings)
    reader = ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    for index in np.random.default_rng(1).integers(0, data.shape, (50, 3)):
        z, y, x = layer.data_to_world(index)
        there = image.TransformPhysicalPointToIndex((float(x), float(y), float(z)))
        assert image[there] == data[tuple(index)]


def test_ome_zarr_opens_where_its_source_lies(
    scans_folder: Path, tmp_path: Path, make_napari_viewer
) -> None:
    from scanlearn.scans.files.ome_zarr import write_ome_zarr
    from scanlearn.scans.read import read_scan

    source = next(scans_folder.rglob("*.dcm")).parent
    path = tmp_path / "copy.ome.zarr"
    write_ome_zarr(path, read_scan(source))
    viewer = make_napari_viewer()
    (one,) = viewer.open(str(path), plugin="napari-scanlearn")
    ((data, settings, _),) = read(source)
    np.testing.assert_array_equal(one.data, data)
    np.testing.assert_allclose(
        one.affine.affine_matrix, Image(data, **settings).affine.affine_matrix
    )
    assert {str(unit) for unit in one.units} == {"millimeter"}


def test_a_ct_opens_in_the_lung_window_with_a_pseudonym(scans_folder: Path) -> None:
    folder = next(scans_folder.rglob("*.dcm")).parent
    _, settings, _ = read(folder)[0]
    assert settings["contrast_limits"] == (-1350.0, 150.0)
    key, modality = settings["name"].split(" · ")
    assert key.startswith("P-")
    assert modality == "CT"


def test_labels_are_written_in_the_grid_of_their_scan(
    scans_folder: Path, tmp_path: Path
) -> None:
    path = next(scans_folder.rglob("*.nii.gz"))
    data, settings, _ = read(path)[0]
    image = Image(data, **settings)
    mask = Labels((data < -500).astype(np.uint8), affine=image.affine)
    mask.metadata = image.metadata
    saved, meta, _ = mask.as_layer_data_tuple()
    target = tmp_path / "lung_labels.nii.gz"
    assert write_labels_nifti(str(target), saved, meta) == [str(target)]
    original, written = nib.load(path), nib.load(target)
    assert np.allclose(original.affine, written.affine)
    below = np.asarray(original.dataobj) < -500
    assert np.array_equal(np.asarray(written.dataobj), below)
    again, settings, kind = read(target)[0]
    assert kind == "labels"
    back = Labels(again, **settings)
    assert origin_of(back) is not None
    assert grid_of(back).is_canonical


def test_the_reader_leaves_foreign_paths_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    assert get_reader(str(tmp_path)) is None
    assert get_reader(str(tmp_path / "notes.txt")) is None


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "broken.nii.gz"
    broken.write_bytes(b"no image")
    with pytest.raises(BadScan, match="broken"):
        read(broken)


def read(path: Path) -> list:
    reader = get_reader(str(path))
    assert reader is not None
    return reader(str(path))
