"""NRRD and MetaImage against SimpleITK itself."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK

from scanlearn.errors import BadScan
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan


def turned_image() -> SimpleITK.Image:
    voxels = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    image = SimpleITK.GetImageFromArray(voxels)
    image.SetSpacing((0.5, 0.75, 2.0))
    image.SetOrigin((-10.0, 20.0, 300.0))
    c, s = np.cos(0.3), np.sin(0.3)
    image.SetDirection((c, -s, 0, s, c, 0, 0, 0, 1))
    return image


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd"])
def test_values_and_places_agree(tmp_path, suffix):
    image = turned_image()
    path = tmp_path / f"scan{suffix}"
    SimpleITK.WriteImage(image, str(path))
    [entry] = find_scans(tmp_path)
    assert entry.shape == (3, 4, 5)
    for scan in (read_scan(path), read_scan(entry)):
        assert scan.voxels.dtype == np.int16
        for index in [(0, 0, 0), (2, 3, 4), (1, 0, 3)]:
            point = image.TransformIndexToPhysicalPoint(index[::-1])
            np.testing.assert_allclose(scan.grid.to_patient(index), point, atol=1e-4)
            assert scan.voxels[index] == image[index[::-1]]


def test_of_a_4d_file_one_volume_is_read(tmp_path):
    parts = [turned_image() + k for k in range(3)]
    path = tmp_path / "a.mha"
    SimpleITK.WriteImage(SimpleITK.JoinSeries(parts), str(path))
    assert find_scans(path)[0].shape == (3, 4, 5, 3)
    scan = read_scan(path, volume=2)
    np.testing.assert_array_equal(
        scan.voxels, SimpleITK.GetArrayFromImage(turned_image()) + 2
    )
    assert read_scan(path).problems[0].code == "4d"
    with pytest.raises(BadScan, match="no volume 3"):
        read_scan(path, volume=3)


def test_vectors_and_damage_are_refused(tmp_path):
    image = turned_image()
    path = tmp_path / "a.mha"
    SimpleITK.WriteImage(SimpleITK.Compose(image, image), str(path))
    with pytest.raises(BadScan, match="2 values in every voxel"):
        read_scan(path)
    SimpleITK.WriteImage(image, str(path))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadScan, match=r"a\.mha cannot be read"):
        read_scan(path)
    path = tmp_path / "b.nrrd"
    path.write_text("no scan")
    assert "b.nrrd" in find_scans(path)[0].error
