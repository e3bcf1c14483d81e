"""OME-Zarr against its specification: metadata by hand, voxels by hand, round trips."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numcodecs import Zstd

from scanlearn.errors import BadScan
from scanlearn.scans.files.ome_zarr import write_ome_zarr
from scanlearn.scans.find import find_scans
from scanlearn.scans.geometry import Grid, to_canonical_axes
from scanlearn.scans.read import read_scan
from scanlearn.scans.scan import Acquisition, Scan

CT = Acquisition(modality="CT", units="HU")


def write_by_hand(
    folder: Path,
    voxels: np.ndarray,
    multiscale: dict[str, object],
    *,
    chunks: tuple[int, ...] | None = None,
) -> Path:
    """Write an NGFF 0.4 image (zarr v2) with nothing but files and JSON."""
    chunks = chunks or voxels.shape
    (folder / "0").mkdir(parents=True)
    (folder / ".zgroup").write_text('{"zarr_format": 2}')
    (folder / ".zattrs").write_text(json.dumps({"multiscales": [multiscale]}))
    described = {
        "zarr_format": 2,
        "shape": voxels.shape,
        "chunks": chunks,
        "dtype": voxels.dtype.str,
        "compressor": None,
        "fill_value": 0,
        "order": "C",
        "filters": None,
        "dimension_separator": "/",
    }
    (folder / "0" / ".zarray").write_text(json.dumps(described))
    counts = [-(-n // c) for n, c in zip(voxels.shape, chunks, strict=True)]
    for place in np.ndindex(*counts):
        block = np.zeros(chunks, voxels.dtype)
        cut = tuple(
            slice(p * c, (p + 1) * c) for p, c in zip(place, chunks, strict=True)
        )
        part = voxels[cut]
        block[tuple(map(slice, part.shape))] = part
        path = folder / "0" / "/".join(map(str, place))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(block.tobytes())
    return folder


def ngff(
    axes: str, scale, shift=None, *, unit="millimeter", **more
) -> dict[str, object]:
    kinds = {"t": "time", "c": "channel"}
    transformations = [{"type": "scale", "scale": list(scale)}]
    if shift is not None:
        transformations.append({"type": "translation", "translation": list(shift)})
    return {
        "version": "0.4",
        "axes": [
            {"name": name, "type": kinds[name]}
            if name in kinds
            else {"name": name, "type": "space", "unit": unit}
            for name in axes
        ],
        "datasets": [{"path": "0", "coordinateTransformations": transformations}],
        **more,
    }


def test_what_is_written_reads_by_hand_as_ngff_0_5(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    voxels = rng.integers(-1000, 2000, (40, 300, 130)).astype(np.int16)
    affine = np.zeros((4, 4))
    affine[[2, 1, 0, 3], [0, 1, 2, 3]] = (2.5, 0.7, 0.8, 1)
    affine[:3, 3] = (-100.5, -220.25, 1300.0)
    path = tmp_path / "a.ome.zarr"
    write_ome_zarr(path, Scan(voxels, Grid(voxels.shape, affine), CT, patient="SECRET"))

    group = json.loads((path / "zarr.json").read_text())
    assert (group["zarr_format"], group["node_type"]) == (3, "group")
    ome = group["attributes"]["ome"]
    assert ome["version"] == "0.5"
    (multiscale,) = ome["multiscales"]
    assert [axis["name"] for axis in multiscale["axes"]] == ["z", "y", "x"]
    assert {axis["type"] for axis in multiscale["axes"]} == {"space"}
    assert {axis["unit"] for axis in multiscale["axes"]} == {"millimeter"}
    assert [axis["orientation"]["value"] for axis in multiscale["axes"]] == [
        "inferior-to-superior",
        "anterior-to-posterior",
        "right-to-left",
    ]
    full, half = multiscale["datasets"]
    scale, translation = full["coordinateTransformations"]
    assert scale == {"type": "scale", "scale": [2.5, 0.7, 0.8]}
    assert translation == {
        "type": "translation",
        "translation": [1300.0, -220.25, -100.5],
    }
    coarse = half["coordinateTransformations"]
    assert coarse[0]["scale"] == pytest.approx([5.0, 1.4, 1.6])
    assert coarse[1] == translation

    array = json.loads((path / full["path"] / "zarr.json").read_text())
    assert array["shape"] == [40, 300, 130]
    assert array["data_type"] == "int16"
    assert array["dimension_names"] == ["z", "y", "x"]
    size = array["chunk_grid"]["configuration"]["chunk_shape"]
    assert [codec["name"] for codec in array["codecs"]] == ["bytes", "zstd"]
    place = path / full["path"] / "c" / "0" / "1" / "0"
    chunk = np.frombuffer(Zstd().decode(place.read_bytes()), "<i2").reshape(size)
    np.testing.assert_array_equal(chunk[:, :100], voxels[:, 128:228, :128][:, :100])
    level = json.loads((path / half["path"] / "zarr.json").read_text())
    assert level["shape"] == [20, 150, 65]
    for file in path.rglob("*"):
        assert file.is_dir() or b"SECRET" not in file.read_bytes()


angles = st.floats(-0.6, 0.6)


@settings(deadline=None, max_examples=25)
@given(
    voxels=hnp.arrays(
        st.sampled_from([np.uint8, np.int16, np.uint16, np.int32, np.float32]),
        st.tuples(*[st.integers(2, 6)] * 3),
        elements=st.integers(0, 200),
    ),
    order=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([-1, 1])] * 3),
    spacing=st.tuples(*[st.floats(0.2, 8)] * 3),
    origin=st.tuples(*[st.floats(-900, 900)] * 3),
    turn=st.one_of(st.just(0.0), angles),
    shear=st.one_of(st.just(0.0), angles),
)
def test_round_trips_keep_every_voxel_where_it_was(
    tmp_path_factory, voxels, order, signs, spacing, origin, turn, shear
) -> None:
    cos, sin = np.cos(turn), np.sin(turn)
    rotation = np.array([[cos, -sin, 0], [sin, cos, shear], [0, 0, 1]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.eye(3)[:, order] * (np.array(signs) * spacing)
    affine[:3, 3] = origin
    scan = Scan(voxels, Grid(voxels.shape, affine), Acquisition(modality="MR"))
    path = tmp_path_factory.mktemp("trip") / "scan.ome.zarr"
    write_ome_zarr(path, scan)

    again = read_scan(path)
    turned, grid = to_canonical_axes(voxels, scan.grid)
    np.testing.assert_array_equal(again.voxels, turned)
    assert again.voxels.dtype == voxels.dtype
    np.testing.assert_array_equal(again.grid.affine, grid.affine)
    assert again.acquisition.modality == "MR"


def test_an_image_of_others_is_read_by_units_axes_and_chunks(
    tmp_path: Path,
) -> None:
    rng = np.random.default_rng(1)
    # Two time points and one channel, x before z, micrometres, chunks that overhang.
    voxels = rng.integers(0, 900, (2, 1, 5, 7, 6)).astype(">u2")
    scale, shift = (1, 1, 700, 800, 2500), (0, 0, -1000, 2000, 3e5)
    path = write_by_hand(
        tmp_path / "other.zarr",
        voxels,
        ngff("tcxyz", scale, shift, unit="micrometer"),
        chunks=(1, 1, 3, 4, 6),
    )
    (entry,) = find_scans(tmp_path)
    assert (entry.kind, entry.path, entry.shape) == ("zarr", path, (5, 7, 6, 2))
    assert entry.spacing_mm == pytest.approx((0.7, 0.8, 2.5))
    assert entry.orientation == "LPS"
    assert {problem.code for problem in entry.problems} == {"4d", "no_orientation"}

    second = read_scan(path, volume=1)
    np.testing.assert_array_equal(second.voxels, voxels[1, 0])
    np.testing.assert_allclose(second.grid.to_patient((1, 0, 0)), (-0.3, 2, 300))
    np.testing.assert_allclose(second.grid.to_patient((0, 2, 3)), (-1, 3.6, 307.5))
    with pytest.raises(BadScan, match="no volume 2"):
        read_scan(path, volume=2)


def test_transformations_of_the_whole_follow_those_of_the_level(tmp_path: Path) -> None:
    voxels = np.zeros((3, 4, 5), np.uint8)
    whole = [
        {"type": "scale", "scale": [2, 1, 1]},
        {"type": "translation", "translation": [0, 10, 0]},
    ]
    path = write_by_hand(
        tmp_path / "w.zarr",
        voxels,
        ngff("zyx", (1.5, 1, 1), (7, 0, 0), coordinateTransformations=whole),
    )
    grid = read_scan(path).grid
    assert grid.spacing_mm == (3.0, 1.0, 1.0)
    np.testing.assert_allclose(grid.to_patient((0, 0, 0)), (0, 10, 14))


def test_stated_sides_turn_the_axes_and_a_plane_is_a_radiograph(tmp_path: Path) -> None:
    multiscale = ngff("zyx", (2, 1, 1), (5, 6, 7))
    sides = ("superior-to-inferior", "posterior-to-anterior", "left-to-right")
    for axis, side in zip(multiscale["axes"], sides, strict=True):
        axis["orientation"] = {"type": "anatomical", "value": side}
    voxels = np.arange(60, dtype=np.uint8).reshape(3, 4, 5)
    scan = read_scan(write_by_hand(tmp_path / "sides.zarr", voxels, multiscale))
    assert scan.grid.orientation == "IAR"
    np.testing.assert_allclose(scan.grid.to_patient((1, 0, 0)), (-7, -6, -7))
    assert not scan.problems

    flat = write_by_hand(tmp_path / "flat.zarr", voxels[0], ngff("yx", (0.2, 0.3)))
    picture = read_scan(flat)
    assert picture.is_radiograph
    assert picture.grid.spacing_mm[1:] == (0.2, 0.3)
    np.testing.assert_array_equal(picture.voxels[0], voxels[0])
    write_ome_zarr(tmp_path / "again.zarr", picture)
    again = read_scan(tmp_path / "again.zarr")
    assert again.is_radiograph
    np.testing.assert_array_equal(again.grid.affine, picture.grid.affine)


def test_a_changed_scale_is_believed_more_than_our_own_affine(tmp_path: Path) -> None:
    scan = Scan(np.ones((3, 4, 5), np.int16), Grid((3, 4, 5), np.eye(4)))
    path = tmp_path / "a.zarr"
    write_ome_zarr(path, scan)
    group = json.loads((path / "zarr.json").read_text())
    dataset = group["attributes"]["ome"]["multiscales"][0]["datasets"][0]
    dataset["coordinateTransformations"][0]["scale"] = [3, 2, 2]
    (path / "zarr.json").write_text(json.dumps(group))
    assert read_scan(path).grid.spacing_mm == (3, 2, 2)


def test_images_below_one_folder_are_scans_of_their_own(tmp_path: Path) -> None:
    voxels = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    root = tmp_path / "many.ome.zarr"
    for number in "01":
        write_by_hand(root / number, voxels, ngff("zyx", (1, 1, 1)))
    (root / ".zgroup").write_text('{"zarr_format": 2}')
    (root / ".zattrs").write_text('{"bioformats2raw.layout": 3}')
    found = find_scans(root)
    assert [entry.path for entry in found] == [root / "0", root / "1"]
    assert [entry.patient for entry in found] == ["many_0", "many_1"]


def test_damage_is_named(tmp_path: Path) -> None:
    voxels = np.ones((4, 4, 4), np.uint8)
    good = write_by_hand(
        tmp_path / "good.zarr", voxels, ngff("zyx", (1, 1, 1)), chunks=(2, 4, 4)
    )

    def changed(name: str, change) -> Path:
        copy = shutil.copytree(good, tmp_path / name)
        content = json.loads((copy / ".zattrs").read_text())
        change(content["multiscales"][0])
        (copy / ".zattrs").write_text(json.dumps(content))
        return copy

    for name, change, said in (
        ("unit.zarr", lambda m: m["axes"][0].update(unit="parsec"), "parsec"),
        ("old.zarr", lambda m: m.update(axes=["z", "y", "x"]), "older"),
        ("lost.zarr", lambda m: m["datasets"][0].update(path="9"), "missing"),
        ("none.zarr", lambda m: m.update(datasets=[]), "incomplete"),
        ("same.zarr", lambda m: m["axes"][0].update(name="y"), "same way"),
        (
            "warped.zarr",
            lambda m: m["datasets"][0]["coordinateTransformations"].append(
                {"type": "affine", "affine": []}
            ),
            "affine",
        ),
        (
            "flat.zarr",
            lambda m: m["datasets"][0]["coordinateTransformations"][0].update(
                scale=[0, 1, 1]
            ),
            "geometry",
        ),
    ):
        path = changed(name, change)
        with pytest.raises(BadScan, match=said) as problem:
            read_scan(path)
        assert problem.value.next_step
    (tmp_path / "half.zarr").mkdir()
    (tmp_path / "half.zarr" / "zarr.json").write_text('{"attributes": ')
    with pytest.raises(BadScan, match=r"half\.zarr"):
        read_scan(tmp_path / "half.zarr")
    errors = {entry.path.name: entry.error for entry in find_scans(tmp_path)}
    assert not errors["good.zarr"]
    assert errors["unit.zarr"]

    (good / "0" / "1" / "0" / "0").unlink()
    scan = read_scan(good)
    assert [p.code for p in scan.problems] == ["no_orientation", "missing_chunks"]
    assert scan.voxels.sum() == 32
    (good / "0" / "0" / "0" / "0").write_bytes(b"short")
    with pytest.raises(BadScan, match="break off"):
        read_scan(good)


def test_other_folders_and_names_are_never_overwritten(tmp_path: Path) -> None:
    scan = Scan(np.ones((3, 4, 5), np.int16), Grid((3, 4, 5), np.eye(4)))
    with pytest.raises(BadScan, match="suffix"):
        write_ome_zarr(tmp_path / "a.nii", scan)
    mine = tmp_path / "mine.zarr"
    mine.mkdir()
    (mine / "notes.txt").write_text("keep")
    with pytest.raises(BadScan, match="no OME-Zarr"):
        write_ome_zarr(mine, scan)
    assert (mine / "notes.txt").exists()
    write_ome_zarr(tmp_path / "b.zarr", scan)
    write_ome_zarr(tmp_path / "b.zarr", Scan(scan.voxels * 2, scan.grid))
    assert read_scan(tmp_path / "b.zarr").voxels.max() == 2
    assert not list(tmp_path.glob(".*"))


def test_nifti_to_ome_zarr_to_nifti_is_the_same_image(
    real_data: Path, tmp_path: Path
) -> None:
    source = sorted((real_data / "hippocampus" / "images").glob("*.nii.gz"))[0]
    write_ome_zarr(tmp_path / "a.ome.zarr", read_scan(source))
    again = read_scan(tmp_path / "a.ome.zarr")
    image = nib.load(source)
    data = np.asanyarray(image.dataobj)
    flip = np.diag([-1, -1, 1, 1])
    index = np.argwhere(np.ones(again.grid.shape, bool))[::97]
    ras = again.grid.to_patient(index) @ flip[:3, :3]
    there = np.rint(nib.affines.apply_affine(np.linalg.inv(image.affine), ras))
    np.testing.assert_array_equal(
        again.voxels[tuple(index.T)], data[tuple(there.astype(int).T)]
    )
