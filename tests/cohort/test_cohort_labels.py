"""Labels: matched to their scans, checked, and copied whole into a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.labels.names import is_label_name, scan_stem_of, stem_of
from scanlearn.cohort.labels.paint import IGNORED
from scanlearn.errors import BadLabels
from scanlearn.tasks.shared.label_maps import collect_labels
from scanlearn.tasks.shared.label_set import LabelSet


@pytest.fixture
def masks(sample: Path, tmp_path: Path) -> Path:
    """Return a copy of the lung masks, free to be changed."""
    return shutil.copytree(sample / "labels" / "lungs", tmp_path / "masks")


def write_like(path: Path, source: Path, values: np.ndarray) -> None:
    nib.save(nib.Nifti1Image(values, nib.load(source).affine), path)


def only_slices(path: Path, keep: list[int]) -> None:
    """Erase all but a few axial slices of a mask."""
    values = np.asanyarray(nib.load(path).dataobj).copy()
    axis = nib.aff2axcodes(nib.load(path).affine).index("S")
    erased = np.moveaxis(values, axis, 0)
    erased[[n for n in range(len(erased)) if n not in keep]] = 0
    write_like(path, path, values)


def test_masks_named_like_sources_land_on_the_lungs(
    cohort: Cohort, masks: Path
) -> None:
    labels = collect_labels(masks, cohort)
    assert [item.scan for item in labels.items] == cohort.keys()
    assert labels.names == {1: "class 1", 2: "class 2"}
    for item in labels.items:
        assert item.how.labelling == "dense"
        assert item.patient == cohort.record(item.scan).patient
        mapped = item.read()
        assert mapped.dtype == np.uint8
        assert mapped.shape == cohort.record(item.scan).shape
        voxels = np.asarray(cohort.voxels(item.scan))
        assert np.median(voxels[mapped > 0]) < -700
        found = cohort.lungs(item.scan)
        assert found is not None
        mask, grid = found
        points = grid.to_patient(np.argwhere(mask == 2)[::53])
        index = np.rint(cohort.grid(item.scan).to_index(points)).astype(int)
        index = np.clip(index, 0, np.array(mapped.shape) - 1)
        assert (mapped[tuple(index.T)] == 2).mean() > 0.85


def test_painted_slices_keep_the_rest_ignored(cohort: Cohort, masks: Path) -> None:
    paths = sorted(masks.iterdir())
    for path in paths[1:]:
        path.unlink()
    only_slices(paths[0], [20, 26, 31])
    labels = collect_labels(masks, cohort)
    (item,) = labels.items
    assert (item.how.labelling, item.how.painted) == ("slices", 3)
    assert "3 of" in labels.remarks[0]
    mapped = item.read()
    counted = [(plane != IGNORED).any() for plane in mapped]
    assert 3 <= sum(counted) <= 9
    assert {0, 1, 2, IGNORED} == set(np.unique(mapped))
    dense = collect_labels(masks, cohort, labelling="dense").items[0].read()
    assert (dense[:, 2:-2, 2:-2] != IGNORED).mean() > 0.9
    scribbled = collect_labels(masks, cohort, labelling="scribbles").items[0].read()
    assert 0 not in scribbled


@pytest.mark.parametrize("name", ["{0}", "{0}_seg", "{0}_labels", "{0}-mask"])
def test_any_usual_name_is_matched(
    cohort: Cohort, masks: Path, tmp_path: Path, name: str
) -> None:
    folder = tmp_path / "renamed"
    folder.mkdir()
    first = sorted(masks.iterdir())[0]
    stem = first.name.removesuffix("_labels.nii.gz")
    shutil.copy(first, folder / f"{name.format(stem)}.nii.gz")
    by_source = collect_labels(folder, cohort).items
    shutil.rmtree(folder)
    folder.mkdir()
    shutil.copy(first, folder / f"{name.format(by_source[0].scan)}.nii.gz")
    by_key = collect_labels(folder, cohort).items
    assert [i.scan for i in by_key] == [i.scan for i in by_source]
    one = collect_labels(next(folder.iterdir()), cohort).items
    assert [i.scan for i in one] == [i.scan for i in by_source]


def test_labels_go_into_a_run_and_come_back(
    cohort: Cohort, masks: Path, tmp_path: Path
) -> None:
    (masks / "classes.json").write_text(json.dumps({"1": "right", "2": "left"}))
    only_slices(sorted(masks.glob("*.gz"))[0], [20, 26])
    labels = collect_labels(masks, cohort)
    assert labels.names == {1: "right", 2: "left"}
    inputs = tmp_path / "run" / "inputs"
    labels.save(inputs)

    loaded = LabelSet.load(inputs)
    again = collect_labels(tmp_path / "run", cohort)
    assert loaded.names == again.names == labels.names
    for other in (loaded, again):
        for mine, theirs in zip(labels.items, other.items, strict=True):
            assert (theirs.scan, theirs.patient) == (mine.scan, mine.patient)
            assert theirs.how == mine.how
            assert theirs.voxels == mine.voxels
            assert theirs.grid.matches(mine.grid)
            np.testing.assert_array_equal(theirs.read(), mine.read())
    assert {p.name for p in inputs.iterdir()} == {
        "classes.json",
        *(f"{key}_labels.nii.gz" for key in cohort.keys()),  # noqa: SIM118
    }


def test_a_table_names_masks(cohort: Cohort, sample: Path, masks: Path) -> None:
    series = next((sample / "scans" / "dicom").iterdir())
    mask = masks / "of another name.nii.gz"
    (masks / f"{series.name}_labels.nii.gz").rename(mask)
    table = masks / "labels.csv"
    first_slice = sorted(series.iterdir())[0]
    for path in (series, first_slice):
        table.write_text(f"path,mask\n{path},{mask.name}\n")
        (item,) = collect_labels(table, cohort).items
        assert cohort.sources()[item.scan].path == str(series)


def test_masks_beside_their_scans_are_told_apart(
    cohort: Cohort, sample: Path, tmp_path: Path
) -> None:
    """A folder with scans and masks mixed: the scans are not taken for masks."""
    mixed = sample / "scans" / "nifti"
    mask = sorted((sample / "labels" / "lungs").iterdir())[1]
    put = mixed / mask.name
    shutil.copy(mask, put)
    try:
        assert len(collect_labels(mixed, cohort).items) == 1
    finally:
        put.unlink()


def test_a_mask_on_the_cohorts_grid_is_taken(cohort: Cohort, tmp_path: Path) -> None:
    from scanlearn.scans.files.write_nifti import write_nifti

    key = cohort.keys()[0]
    grid = cohort.grid(key)
    painted = np.zeros(grid.shape, dtype=np.uint8)
    painted[10:30, 20:40, 20:40] = 1
    write_nifti(tmp_path / "in" / f"{key}.nii.gz", painted, grid)
    (item,) = collect_labels(tmp_path / "in", cohort).items
    np.testing.assert_array_equal(item.read(), painted)


def test_bad_labels_are_refused_by_name(
    cohort: Cohort, masks: Path, tmp_path: Path
) -> None:
    paths = sorted(masks.iterdir())
    first = paths[0]
    image = nib.load(first)
    values = np.asanyarray(image.dataobj)

    with pytest.raises(BadLabels, match="absent"):
        collect_labels(tmp_path / "absent", cohort)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadLabels, match="no label maps"):
        collect_labels(tmp_path / "empty", cohort)

    shutil.copy(first, tmp_path / "empty" / "somebody_labels.nii.gz")
    with pytest.raises(BadLabels, match=r"somebody_labels.*PHANTOM"):
        collect_labels(tmp_path / "empty", cohort)

    write_like(first, first, values[:, :, :-1])
    with pytest.raises(BadLabels, match=f"{first.name} lies on another grid"):
        collect_labels(first, cohort)
    write_like(first, first, np.zeros_like(values))
    with pytest.raises(BadLabels, match="is empty"):
        collect_labels(first, cohort)
    few = np.zeros_like(values)
    few[30, 30, 10:13] = 1
    write_like(first, first, few)
    with pytest.raises(BadLabels, match="only 3 voxels"):
        collect_labels(first, cohort)
    write_like(first, first, values.astype(np.int16) * 300)
    with pytest.raises(BadLabels, match="class value 600"):
        collect_labels(first, cohort)

    shutil.copy(paths[1], masks / paths[1].name.replace("_labels", "_seg"))
    with pytest.raises(BadLabels, match="both for the same scan"):
        collect_labels(masks, cohort)
    with pytest.raises(BadLabels, match=r"classes\.json"):
        LabelSet.load(masks)


def test_empty_maps_and_strangers_are_told(cohort: Cohort, masks: Path) -> None:
    paths = sorted(masks.iterdir())
    values = np.asanyarray(nib.load(paths[0]).dataobj)
    write_like(paths[0], paths[0], np.zeros_like(values))
    shutil.copy(paths[1], masks / "stranger.nii.gz")
    labels = collect_labels(masks, cohort)
    assert len(labels.items) == 3
    assert any("no painted voxel" in remark for remark in labels.remarks)
    assert any("stranger" in remark for remark in labels.remarks)
    # Said to be dense, an empty map is a scan with nothing on it.
    assert len(collect_labels(masks, cohort, labelling="dense").items) == 4


def test_binary_masks_of_0_and_255_are_one_class(cohort: Cohort, masks: Path) -> None:
    first = sorted(masks.iterdir())[0]
    values = np.asanyarray(nib.load(first).dataobj)
    write_like(first, first, ((values > 0) * 255).astype(np.uint8))
    (item,) = collect_labels(first, cohort).items
    assert set(item.voxels) == {1}
    assert (item.read() == 1).any()


def test_scans_left_out_take_no_labels(cohort: Cohort, masks: Path) -> None:
    key = cohort.keys()[0]
    cohort.exclude(key, "motion")
    labels = collect_labels(masks, cohort)
    assert key not in [item.scan for item in labels.items]
    assert len(labels.items) == 3


def test_real_masks_fit_their_series(real_data: Path, tmp_path: Path) -> None:
    from scanlearn.cohort.preparation.prepare import prepare
    from scanlearn.config.prepare import PrepareConfig

    chest = real_data / "chest_ct"
    prepare(
        chest / "LIDC-IDRI-0001",
        tmp_path / "cohort",
        PrepareConfig(spacing_mm=2.0, workers=0),
    )
    folder = tmp_path / "masks"
    folder.mkdir()
    source = chest / "LIDC-IDRI-0001_nodule_consensus.nii.gz"
    shutil.copy(source, folder / "LIDC-IDRI-0001_seg.nii.gz")
    (item,) = collect_labels(folder, Cohort(tmp_path / "cohort")).items
    volume = np.count_nonzero(item.read() == 1) * 8.0
    image = nib.load(source)
    truth = np.count_nonzero(image.get_fdata()) * abs(
        np.linalg.det(image.affine[:3, :3])
    )
    assert volume == pytest.approx(truth, rel=0.05)


@pytest.mark.parametrize(
    ("name", "stem", "scan", "is_label"),
    [
        ("a.nii.gz", "a", "a", False),
        ("a.b_labels.nii.gz", "a.b_labels", "a.b", True),
        ("x-Seg.NRRD", "x-Seg", "x", True),
        ("1.2.840.1", "1.2.840.1", "1.2.840.1", False),
        ("segment.nii", "segment", "segment", False),
    ],
)
def test_names(name: str, stem: str, scan: str, is_label: bool) -> None:
    path = Path("folder") / name
    assert stem_of(path) == stem
    assert scan_stem_of(path) == scan
    assert is_label_name(path) is is_label
