"""Patches: the right voxels, whatever the scan's orientation on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scanlearn.anatomy.frames import Frame
from scanlearn.anatomy.landmarks import Atlas
from scanlearn.cohort.atlas.atlas_on_scans import (
    carry_atlas,
    choose_atlas,
    place_cohorts,
)
from scanlearn.cohort.catalogue import write_record
from scanlearn.cohort.layout import Layout, Settings, write_settings
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.cohort.record import Intensity, ScanRecord, matrix_of
from scanlearn.cohort.store import NpyStore
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.drasclr import LandmarkConfig
from scanlearn.config.prepare import PrepareConfig
from scanlearn.encoders.patch_places import patch_start
from scanlearn.pretraining.drasclr.landmark_batches import PatchRequest
from scanlearn.pretraining.drasclr.patches import Patch, PatchData, collate
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.scans.find import find_scans
from scanlearn.scans.geometry import Grid
from scanlearn.scans.read import read_scan

SHAPE = (24, 26, 28)
#: The frame reaches from the middle of voxel 2 to that of voxel 2 + REACH.
REACH = 18


def ramp(i, j, k):
    """Hounsfield units that tell every axis apart."""
    return -1000 + 30 * np.asarray(i) + 13 * np.asarray(j) + 5 * np.asarray(k)


def canonical(shape: tuple[int, int, int], spacing: float) -> Grid:
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = spacing
    affine[:, 3] = -50, 30, 700, 1
    return Grid(shape, affine)


def write_cohort(folder: Path, voxels: np.ndarray, *frames: Frame) -> WorkingCohorts:
    """Write a cohort of 2 mm scans, one patient for each frame."""
    layout = Layout(folder)
    layout.scans.mkdir(parents=True)
    write_settings(layout, Settings(PrepareConfig(spacing_mm=2.0)))
    grid = canonical(voxels.shape, 2.0)
    for number, frame in enumerate(frames):
        patient = f"P-{number:010x}"
        record = ScanRecord(
            key=f"{patient}-abcdef",
            patient=patient,
            modality="CT",
            store="npy",
            dtype="int16",
            shape=voxels.shape,
            spacing_mm=grid.spacing_mm,
            affine=matrix_of(grid),
            intensity=Intensity(units="HU", outside=-1024, percentiles=(0, 0, 0)),
            source_shape=voxels.shape,
            source_affine=matrix_of(grid),
            source_hash=f"{number}",
            source_stamp=f"{number}",
            voxel_hash=f"{number}",
            frame=frame,
        )
        NpyStore().write(layout.voxels(record.key, ".npy"), voxels)
        write_record(layout, record)
    return WorkingCohorts([folder], None)


def frame_at(start: int, kind: str = "lungs") -> Frame:
    grid = canonical(SHAPE, 2.0)
    low, high = grid.to_patient([start] * 3), grid.to_patient([start + REACH] * 3)
    return Frame(tuple(low), tuple(high), kind)


def atlas_of(*locations: tuple[float, float, float]) -> Atlas:
    return Atlas(
        kind="lungs",
        size_mm=(36.0, 36.0, 36.0),
        landmarks=np.array(locations, dtype=np.float32),
        fraction=np.ones(len(locations), dtype=np.float32),
    )


@pytest.fixture
def ramps(tmp_path: Path) -> WorkingCohorts:
    """Return two patients with the same ramp; the second's frame is 3 voxels on."""
    voxels = ramp(*np.indices(SHAPE)).astype(np.int16)
    return write_cohort(tmp_path / "cohort", voxels, frame_at(2), frame_at(5))


@pytest.mark.parametrize("side", [3, 6, 7, 16])
def test_a_patch_is_centred_where_the_landmark_is(ramps, side) -> None:
    # Thirds of the frame lie on whole voxels, and halves between them for an even side.
    between = 0.5 if side % 2 == 0 else 0.0
    step = 2 / REACH
    location = (step * (3 + between), step * (-2 + between), step * (0 + between))
    data = PatchData(ramps, atlas_of(location), side=side)
    for patient, first in ((0, 2), (1, 5)):
        patch = data[PatchRequest(0, patient)]
        middle = first + REACH / 2 + between
        expected = ramp(middle, middle - 2, middle + 3)  # axes (S, P, L) of (x, y, z)
        assert (patch.landmark, patch.patient) == (0, patient)
        assert patch.voxels.shape == (side,) * 3
        assert float(patch.voxels.mean()) == pytest.approx(expected + 1024)


def test_a_place_between_voxels_is_rounded_to_the_nearest(ramps) -> None:
    scan = ramps.scans[0]
    step = 2 / REACH
    for offset, start in ((0.0, 10), (0.4, 10), (0.6, 11), (-0.6, 9)):
        found = patch_start(scan, (0, 0, step * offset), side=3)
        np.testing.assert_array_equal(found, (start, 10, 10))


def test_beyond_the_borders_there_is_air(ramps) -> None:
    data = PatchData(ramps, atlas_of((-1, -1, -1), (9, 0, 0)), side=9)
    corner = data[PatchRequest(0, 0)].voxels
    assert (corner[:2] == 0).all()
    assert (corner[:, :2] == 0).all()
    assert (corner[:, :, :2] == 0).all()
    assert corner[2, 2, 2] == ramp(0, 0, 0) + 1024
    assert corner[8, 8, 8] == ramp(6, 6, 6) + 1024
    assert (data[PatchRequest(1, 0)].voxels == 0).all()


def test_intensities_are_clipped_to_what_the_method_looks_at(tmp_path) -> None:
    voxels = np.full(SHAPE, 3000, dtype=np.int16)
    voxels[:12] = -2000
    cohorts = write_cohort(tmp_path / "cohort", voxels, frame_at(2))
    patch = PatchData(cohorts, atlas_of((0, 0, 0)), side=8)[PatchRequest(0, 0)]
    assert patch.voxels.unique().tolist() == [0, 1264]


def test_collate_keeps_landmarks_and_patients_apart() -> None:
    patches = [
        Patch(torch.full((2, 2, 2), 10.0 * landmark + patient), landmark, patient)
        for landmark in (7, 3)
        for patient in (4, 0, 1)
    ]
    batch = collate(patches)
    assert batch["landmarks"].tolist() == [7, 3]
    assert batch["patients"].tolist() == [[4, 0, 1]] * 2
    assert batch["voxels"].shape == (2, 3, 1, 2, 2, 2)
    assert batch["voxels"][:, :, 0, 0, 0, 0].tolist() == [[74, 70, 71], [34, 30, 31]]


def test_the_atlas_lies_in_the_lungs_of_the_cohort(tiny_cohort) -> None:
    cohorts = WorkingCohorts([tiny_cohort], None)
    placed = place_cohorts(cohorts, LandmarkConfig(step_mm=26, min_lung=0.3))
    everywhere = choose_atlas(cohorts, LandmarkConfig(step_mm=26, min_lung=0.0))
    cohorts, atlas = placed.cohorts, placed.atlas
    assert atlas.kind == "lungs"
    assert 20 < len(atlas.landmarks) < len(everywhere.landmarks)
    assert atlas.fraction.min() > 0.3
    assert np.abs(atlas.landmarks).max() <= 1
    # Patches at the fullest landmarks are mostly lung tissue: well below water.
    fullest = int(atlas.fraction.argmax())
    data = PatchData(cohorts, atlas, side=6)
    for scan in range(len(cohorts.scans)):
        hu = data[PatchRequest(fullest, scan)].voxels - 1024
        assert -1000 < float(hu.median()) < -500


def test_turning_a_volume_with_its_header_changes_no_patch(tiny_sample, tmp_path):
    """T9: bitwise-equal patches."""
    entry = next(e for e in find_scans(tiny_sample / "scans") if e.kind == "nifti")
    scan = read_scan(entry)
    # Whole numbers survive the single precision of a NIfTI header.
    origin = np.round(scan.grid.affine[:3, 3])
    affine = np.array(scan.grid.affine)
    affine[:3, 3] = origin
    grid = Grid(scan.grid.shape, affine)
    cohorts = {}
    for name, flips, order in (
        ("plain", (), (0, 1, 2)),
        ("flipped", (0, 2), (0, 1, 2)),
        ("turned", (1,), (2, 0, 1)),
    ):
        write_turned(tmp_path / name / "chest.nii.gz", scan.voxels, grid, flips, order)
        config = PrepareConfig(spacing_mm=4.0, workers=0)
        prepare(tmp_path / name, tmp_path / f"{name}-cohort", config)
        cohorts[name] = WorkingCohorts([tmp_path / f"{name}-cohort"], None)
    atlas = choose_atlas(cohorts["plain"], LandmarkConfig(step_mm=40, at_most=12))
    placed = {name: carry_atlas(cohorts[name], atlas).cohorts for name in cohorts}
    plain = PatchData(placed["plain"], atlas, side=16)
    for name in ("flipped", "turned"):
        other = PatchData(placed[name], atlas, side=16)
        for landmark in range(len(atlas.landmarks)):
            request = PatchRequest(landmark, 0)
            assert torch.equal(other[request].voxels, plain[request].voxels)


def write_turned(
    path: Path,
    voxels: np.ndarray,
    grid: Grid,
    flips: tuple[int, ...],
    order: tuple[int, ...],
) -> None:
    """Write a volume with other array axes at the same place in the patient."""
    affine = np.array(grid.affine)
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (voxels.shape[axis] - 1)
        affine[:3, axis] *= -1
    affine[:3, :3] = affine[:3, list(order)]
    turned = np.flip(voxels, flips).transpose(order)
    path.parent.mkdir()
    write_nifti(path, np.ascontiguousarray(turned), Grid(turned.shape, affine))
