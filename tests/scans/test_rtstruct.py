"""RT-STRUCT contours against an independent inside test and known areas."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage, generate_uid
from scipy.spatial.transform import Rotation

from scanlearn.errors import BadLabels
from scanlearn.scans.geometry import Grid
from scanlearn.scans.labels.contours import fill_polygons
from scanlearn.scans.labels.read_labels import read_label_map, read_label_names


def inside_slowly(polygon, row, column):
    """Cast a ray to the left and count the edges that it crosses."""
    inside = False
    for (y0, x0), (y1, x1) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        if (y0 <= row) != (y1 <= row):
            crossing = x0 + (row - y0) * (x1 - x0) / (y1 - y0)
            inside ^= crossing < column
    return inside


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(-4, 14), st.floats(-4, 14)), min_size=3, max_size=9
    ).map(np.array)
)
def test_fill_agrees_with_casting_rays(polygon):
    # Irrational offsets keep edges off the whole points, where either answer is right.
    polygon = polygon + np.array([np.pi, np.e]) * 1e-3
    filled = fill_polygons([polygon], (10, 11))
    for row in range(10):
        for column in range(11):
            assert filled[row, column] == inside_slowly(polygon, row, column)


def circle(centre, radius, points=200):
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return centre + radius * np.stack([np.sin(angle), np.cos(angle)], axis=1)


def write_rtstruct(path, regions):
    """Write regions ``{number: (name, [contours in LPS mm])}``."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    ds.SOPInstanceUID = generate_uid()
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.Modality = "RTSTRUCT"
    ds.StructureSetROISequence, ds.ROIContourSequence = [], []
    for number, (name, contours) in regions.items():
        roi = Dataset()
        roi.ROINumber, roi.ROIName = number, name
        ds.StructureSetROISequence.append(roi)
        drawn = Dataset()
        drawn.ReferencedROINumber = number
        drawn.ContourSequence = []
        for points in contours:
            contour = Dataset()
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(points)
            contour.ContourData = [f"{x:.6f}" for x in points.ravel()]
            drawn.ContourSequence.append(contour)
        ds.ROIContourSequence.append(drawn)
    ds.save_as(path, enforce_file_format=True)


def oblique_grid(shape=(6, 40, 50)):
    affine = np.eye(4)
    turn = Rotation.from_euler("xyz", (0.2, -0.1, 0.3)).as_matrix()
    affine[:3, :3] = turn @ np.eye(3)[:, ::-1] * (2.5, 0.7, 0.8)
    affine[:3, 3] = (-20, 30, -50)
    return Grid(shape, affine)


def in_patient(grid, plane, polygon):
    return grid.to_patient(np.column_stack([np.full(len(polygon), plane), polygon]))


def test_regions_are_filled_with_holes_and_small_ones_on_top(tmp_path):
    grid = oblique_grid()
    body, hole = circle((20, 25), 15.3), circle((20, 20), 4.3)
    spot = circle((20, 33), 3.3)
    write_rtstruct(
        tmp_path / "rs.dcm",
        {
            9: ("spot", [in_patient(grid, 3, spot)]),
            4: (
                "body",
                [in_patient(grid, k, p) for k in (2, 3) for p in (body, hole)],
            ),
        },
    )
    labels, own = read_label_map(tmp_path / "rs.dcm", like=grid)
    assert own is grid
    rows, columns = np.indices(grid.shape[1:])
    ring = (np.hypot(rows - 20, columns - 25) < 15.3) & (
        np.hypot(rows - 20, columns - 20) > 4.3
    )
    dot = np.hypot(rows - 20, columns - 33) < 3.3
    expected = np.zeros(grid.shape, np.uint8)
    expected[2:4][:, ring] = 1
    expected[3][dot] = 2
    np.testing.assert_array_equal(labels, expected)
    assert not labels[[0, 1, 4, 5]].any()
    assert read_label_names(tmp_path / "rs.dcm") == {1: "body", 2: "spot"}


def test_a_folder_with_one_contour_file_is_read(tmp_path):
    grid = oblique_grid()
    region = {1: ("disc", [in_patient(grid, 1, circle((20, 25), 10))])}
    write_rtstruct(tmp_path / "rs.dcm", region)
    labels, _ = read_label_map(tmp_path, like=grid)
    assert labels.sum() == pytest.approx(np.pi * 100, rel=0.03)


def test_contours_off_the_scan_are_refused(tmp_path):
    grid = oblique_grid()
    tilted = in_patient(grid, 3, circle((20, 25), 10))
    tilted[:, 2] += np.linspace(0, 9, len(tilted))
    write_rtstruct(tmp_path / "rs.dcm", {1: ("a", [tilted])})
    with pytest.raises(BadLabels, match="one plane"):
        read_label_map(tmp_path / "rs.dcm", like=grid)
    with pytest.raises(BadLabels, match="no grid of their own"):
        read_label_map(tmp_path / "rs.dcm")
    far = in_patient(grid, 90, circle((20, 25), 10))
    write_rtstruct(tmp_path / "rs.dcm", {1: ("a", [far])})
    with pytest.raises(BadLabels, match="no closed contour"):
        read_label_map(tmp_path / "rs.dcm", like=grid)
