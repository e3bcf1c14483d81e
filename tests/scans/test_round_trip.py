"""DICOM in, NIfTI out: every voxel where SimpleITK and nibabel see it."""

from __future__ import annotations

import tracemalloc

import nibabel as nib
import numpy as np
import SimpleITK
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.ndimage import center_of_mass
from scipy.spatial.transform import Rotation

from scanlearn.scans.files.write_nifti import write_nifti, write_nifti_channels
from scanlearn.scans.geometry import grid_from_ras
from scanlearn.scans.read import read_scan

LPS = np.array([-1, -1, 1])


@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    # Any turn at all: slices may lie in any plane and run either way.
    angles=st.tuples(*[st.floats(-3.1, 3.1)] * 3),
    right=st.integers(0, 3),
    step=st.floats(0.5, 8),
    spacing=st.tuples(st.floats(0.3, 3), st.floats(0.3, 3)),
    origin=st.tuples(*[st.floats(-400, 400)] * 3),
    tilt=st.sampled_from([0.0, 0.0, 0.35, -0.2]),
    order=st.permutations(range(5)),
    signed=st.booleans(),
)
def test_a_converted_series_is_exact_at_physical_points(
    tmp_path_factory,
    write_series,
    angles,
    right,
    step,
    spacing,
    origin,
    tilt,
    order,
    signed,
):
    folder = tmp_path_factory.mktemp("series")
    # Right angles are what most scans have.
    turn = Rotation.from_euler("xyz", np.round(angles) * np.pi / 2 if right else angles)
    along_row, along_column, normal = turn.as_matrix().T
    stored = np.random.default_rng(0).integers(0, 4000, (5, 6, 7)).astype(np.uint16)
    stored = stored.astype(np.int16) - 2000 if signed else stored
    shift = normal * step + along_column * step * tilt
    positions = np.round(np.array(origin) + np.outer(order, shift), 9)
    write_series(
        folder,
        stored,
        np.array([[float(f"{x:.9g}") for x in p] for p in positions]),
        ImageOrientationPatient=[f"{x:.12f}"[:16] for x in (*along_row, *along_column)],
        PixelSpacing=[f"{mm:.9f}" for mm in spacing],
    )
    out = folder / "out.nii.gz"
    scan = read_scan(folder)
    write_nifti(out, scan.voxels, scan.grid)
    written = nib.load(out)
    values = np.asarray(written.dataobj)
    to_index = np.linalg.inv(written.affine)
    for path in sorted(folder.glob("*.dcm")):
        image = SimpleITK.ReadImage(str(path))
        expected = SimpleITK.GetArrayFromImage(image)[0]
        for row, column in [(0, 0), (0, 6), (5, 0), (5, 6), (2, 3)]:
            point = image.TransformIndexToPhysicalPoint((column, row, 0))
            index = nib.affines.apply_affine(to_index, np.array(point) * LPS)
            whole = np.rint(index).astype(int)
            back = nib.affines.apply_affine(written.affine, whole) * LPS
            np.testing.assert_allclose(back, point, atol=1e-3)
            assert values[tuple(whole)] == expected[row, column]


def test_a_tilted_rod_stands_upright_when_shown(tmp_path, write_series):
    stored = np.full((12, 40, 16), 24, np.uint16)
    positions = np.array([[0.0, 0.8 * k, 2.0 * k] for k in range(12)])
    for k in range(12):
        # Upright in the patient at y = 20 mm, hence leaning in the stored slices.
        stored[k, :, 7:10] = np.where(
            np.abs(np.arange(40) + 0.8 * k - 20) <= 2, 2024, 24
        )[:, None]
    write_series(tmp_path, stored, positions, PixelSpacing=[1.0, 1.0])
    scan = read_scan(tmp_path)
    assert [p.code for p in scan.problems] == ["tilt"]
    shown = scan.canonical()
    assert shown.grid.is_canonical
    for k in range(1, 11):
        rows, _ = center_of_mass((shown.voxels[k] > 0).astype(float))
        assert abs(shown.grid.to_patient((k, rows, 0))[1] - 20) < 0.6


def test_reading_takes_little_more_memory_than_the_volume(tmp_path, write_series):
    stored = np.zeros((96, 256, 256), np.uint16)
    positions = [(0, 0, float(k)) for k in range(96)]
    write_series(tmp_path, stored, positions)
    read_scan(tmp_path)
    tracemalloc.start()
    scan = read_scan(tmp_path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert scan.voxels.nbytes == stored.nbytes
    assert peak < 1.2 * stored.nbytes


def test_channels_in_steps_are_what_every_reader_multiplies(tmp_path) -> None:
    grid = grid_from_ras((4, 5, 6), np.diag([0.7, 0.8, 2.5, 1.0]))
    steps = np.arange(240, dtype=np.uint8).reshape(2, *grid.shape)
    path = tmp_path / "probabilities.nii.gz"
    write_nifti_channels(path, steps, grid, step=1 / 255)
    image = nib.load(path)
    assert image.get_data_dtype() == np.uint8
    expected = np.moveaxis(steps, 0, -1) / 255
    np.testing.assert_allclose(image.get_fdata(), expected, atol=1e-7)
    seen = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(path)).T
    np.testing.assert_allclose(seen, expected, atol=1e-7)
