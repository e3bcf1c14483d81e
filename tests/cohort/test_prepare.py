"""From files to a cohort: what is stored, what is kept, what is refused."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
import yaml

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.exclusions import (
    read_exclusions,
    reason_for,
    write_exclusions,
)
from scanlearn.cohort.layout import Source
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadCohort, BadLabels, BadScan
from scanlearn.scans.read import read_scan

HERE = PrepareConfig(workers=0)
COARSE = PrepareConfig(workers=0, spacing_mm=4.0)


def write_mr(path: Path, *, seed: int = 0, spacing=(1.0, 1.5, 3.0)) -> Path:
    rng = np.random.default_rng(seed)
    voxels = np.zeros((24, 20, 12), dtype=np.int16)
    voxels[4:20, 3:17, 2:10] = rng.integers(300, 900, (16, 14, 8))
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, np.diag([*spacing, 1.0])), path)
    return path


def test_ct_is_itks_cubic_spline_on_the_canonical_grid(
    sample: Path, tmp_path: Path
) -> None:
    source = next((sample / "scans" / "dicom").iterdir())
    prepare(source, tmp_path / "cohort", PrepareConfig(workers=0, spacing_mm=3.0))
    cohort = Cohort(tmp_path / "cohort")
    (record,) = cohort.records()
    grid = record.grid
    assert record.spacing_mm == (3.0, 3.0, 3.0)

    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(source)))
    image = sitk.Cast(reader.Execute(), sitk.sitkFloat32)
    target = sitk.Image(*(int(n) for n in grid.shape[::-1]), sitk.sitkFloat32)
    target.SetSpacing((3.0, 3.0, 3.0))
    target.SetOrigin(grid.to_patient((0, 0, 0)).tolist())
    oracle = sitk.GetArrayFromImage(
        sitk.Resample(image, target, sitk.Transform(), sitk.sitkBSpline, -1024.0)
    )
    stored = np.asarray(cohort.voxels(record.key), dtype=float)
    inner = (slice(2, -2),) * 3
    # Values that splines overshoot to beyond those of the scan are cut off.
    brightest = float(sitk.GetArrayViewFromImage(image).max())
    expected = np.clip(oracle, -1024, brightest)[inner]
    assert np.abs(stored[inner] - expected).max() <= 1.5


def test_sources_and_grids_go_into_the_record(prepared: Path, sample: Path) -> None:
    cohort = Cohort(prepared)
    for key, source in cohort.sources().items():
        scan = read_scan(Path(source.path))
        record = cohort.record(key)
        assert cohort.source_grid(key).matches(scan.grid)
        assert record.modality == "CT"
        assert record.intensity.units == "HU"
        assert record.frame.kind == "lungs"
    with (prepared / "private" / "sources.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["scan"] for row in rows} == set(cohort.keys())
    assert list(rows[0])[:2] == ["scan", "source"]
    assert yaml.safe_load((prepared / "cohort.yaml").read_text())["format"] == 1


def test_unchanged_scans_are_kept_and_new_ones_added(
    sample: Path, tmp_path: Path
) -> None:
    inputs = tmp_path / "inputs"
    first = sorted((sample / "scans" / "nifti").iterdir())[0]
    inputs.mkdir()
    shutil.copy(first, inputs)
    one = prepare(inputs, tmp_path / "cohort", COARSE)
    store = tmp_path / "cohort" / "scans" / f"{one.prepared[0]}.npy"
    before = store.stat().st_mtime_ns

    write_mr(inputs / "other.nii.gz")
    two = prepare(inputs, tmp_path / "cohort")
    assert two.kept == one.prepared
    assert len(two.prepared) == 1
    assert store.stat().st_mtime_ns == before

    # Touched, but the same bytes: read once more, not prepared again.
    (inputs / first.name).touch()
    three = prepare(inputs, tmp_path / "cohort")
    assert store.stat().st_mtime_ns == before
    assert set(three.kept + three.prepared) == set(one.prepared + two.prepared)
    assert set(prepare(inputs, tmp_path / "cohort").kept) == set(
        one.prepared + two.prepared
    )


def test_a_changed_source_is_prepared_again_and_stays_excluded(tmp_path: Path) -> None:
    path = write_mr(tmp_path / "in" / "a.nii.gz")
    (key,) = prepare(path.parent, tmp_path / "cohort", HERE).prepared
    cohort = Cohort(tmp_path / "cohort")
    before = cohort.record(key).source_hash
    cohort.exclude(key, "motion")
    write_mr(path, seed=1)
    assert prepare(path.parent, tmp_path / "cohort", HERE).prepared == (key,)
    record = Cohort(tmp_path / "cohort").record(key)
    assert record.source_hash != before
    assert record.excluded == "motion"


def test_a_moved_folder_keeps_its_keys_and_equal_names_do_not_clash(
    tmp_path: Path,
) -> None:
    write_mr(tmp_path / "one" / "ct.nii.gz")
    (key,) = prepare(tmp_path / "one", tmp_path / "cohort", HERE).prepared
    (tmp_path / "one").rename(tmp_path / "moved")
    assert prepare(tmp_path / "moved", tmp_path / "cohort", HERE).kept == (key,)

    write_mr(tmp_path / "two" / "ct.nii.gz", seed=1)
    report = prepare(tmp_path / "two", tmp_path / "cohort", HERE)
    assert len(Cohort(tmp_path / "cohort")) == 2
    assert report.prepared[0] != key
    # One name, so for all we know one patient: never on two sides of a split.
    assert len(Cohort(tmp_path / "cohort").patients()) == 1


def test_scans_seen_through_a_link_are_the_same(tmp_path: Path) -> None:
    write_mr(tmp_path / "real" / "a.nii.gz")
    (key,) = prepare(tmp_path / "real", tmp_path / "cohort", HERE).prepared
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert prepare(tmp_path / "link", tmp_path / "cohort", HERE).kept == (key,)
    # A copy of the same name is another file.
    shutil.copytree(tmp_path / "real", tmp_path / "copy")
    assert prepare(tmp_path / "copy", tmp_path / "cohort", HERE).prepared != (key,)
    assert len(Cohort(tmp_path / "cohort")) == 2


def test_mr_takes_the_median_spacing_and_robust_scores(tmp_path: Path) -> None:
    for number, thick in enumerate((3.0, 3.0, 5.0)):
        write_mr(tmp_path / "in" / f"{number}.nii", spacing=(1.0, 1.5, thick))
    prepare(tmp_path / "in", tmp_path / "cohort", HERE)
    cohort = Cohort(tmp_path / "cohort")
    for record in cohort.records():
        assert record.spacing_mm == (3.0, 1.5, 1.0)
        assert record.intensity.units == "zscore"
        assert record.frame.kind == "field"
        voxels = np.asarray(cohort.voxels(record.key))
        assert voxels.dtype == np.float32
        inside = voxels[voxels > voxels.min() + 1]
        assert abs(np.median(inside)) < 0.3
    # A later scan takes the cohort's spacing, not a new median.
    write_mr(tmp_path / "more" / "x.nii", spacing=(2.0, 2.0, 2.0))
    (key,) = prepare(tmp_path / "more", tmp_path / "cohort").prepared
    assert Cohort(tmp_path / "cohort").record(key).spacing_mm == (3.0, 1.5, 1.0)


def test_ct_and_masks_do_not_move_the_median_spacing_of_mr(tmp_path: Path) -> None:
    for number, thick in enumerate((3.0, 3.0, 5.0)):
        write_mr(tmp_path / "in" / f"{number}.nii", spacing=(1.0, 1.5, thick))
    rng = np.random.default_rng(0)
    for number in range(4):
        hu = rng.integers(-1000, 400, (20, 22, 24)).astype(np.int16)
        hu[:10] = -1000
        image = nib.Nifti1Image(hu, np.diag([4.0, 4.0, 4.0, 1.0]))
        nib.save(image, tmp_path / "in" / f"ct{number}.nii")
    lobes = rng.integers(0, 5, (9, 9, 9)).astype(np.uint8)
    for number in range(4):
        image = nib.Nifti1Image(lobes, np.diag([6.0, 6.0, 6.0, 1.0]))
        nib.save(image, tmp_path / "in" / f"lobes{number}.nii")
    report = prepare(tmp_path / "in", tmp_path / "cohort", HERE)
    assert len(report.prepared) == 7
    assert len(report.label_maps) == 4
    assert not report.failed
    spacings = {
        (record.modality, record.spacing_mm)
        for record in Cohort(tmp_path / "cohort").records()
    }
    assert spacings == {("CT", (1.0, 1.0, 1.0)), ("OT", (3.0, 1.5, 1.0))}


def test_the_spacing_of_a_preset_may_also_be_named(
    sample: Path, tmp_path: Path
) -> None:
    first, second = sorted((sample / "scans" / "nifti").iterdir())
    prepare(first, tmp_path / "cohort", HERE)
    before = Cohort(tmp_path / "cohort").fingerprint()
    one = PrepareConfig(workers=0, spacing_mm=1.0)
    assert prepare(first, tmp_path / "cohort", one).kept
    assert Cohort(tmp_path / "cohort").fingerprint() == before
    with pytest.raises(BadCohort, match="spacing_mm"):
        prepare(first, tmp_path / "cohort", PrepareConfig(spacing_mm=2.0))

    write_mr(tmp_path / "mr" / "a.nii")
    prepare(tmp_path / "mr", tmp_path / "other", HERE)
    with pytest.raises(BadCohort, match="spacing_mm"):
        prepare(second, tmp_path / "other", one)


def test_radiographs_get_one_size_and_run_from_0_to_1(tmp_path: Path) -> None:
    from PIL import Image

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 255, (60, 80)).astype(np.uint8)
    (tmp_path / "in").mkdir()
    Image.fromarray(pixels).save(tmp_path / "in" / "a.png")
    prepare(
        tmp_path / "in",
        tmp_path / "cohort",
        PrepareConfig(workers=0, radiograph_size=40),
    )
    (record,) = Cohort(tmp_path / "cohort").records()
    assert record.is_radiograph
    assert record.shape == (1, 30, 40)
    voxels = np.asarray(Cohort(tmp_path / "cohort").voxels(record.key))
    assert voxels.min() >= 0
    assert voxels.max() <= 1
    # The picture's outer corners stay where they were.
    corners = [
        grid.to_patient(
            [[0, -0.5, -0.5], [0, grid.shape[1] - 0.5, grid.shape[2] - 0.5]]
        )
        for grid in (record.grid, record.source_grid)
    ]
    np.testing.assert_allclose(*corners, atol=1e-6)


def test_crops_keep_the_lungs_with_their_margin(sample: Path, tmp_path: Path) -> None:
    source = sorted((sample / "scans" / "nifti").iterdir())[0]
    sizes = {}
    for crop in ("none", "body", "lungs"):
        config = PrepareConfig(workers=0, spacing_mm=4.0, crop=crop)
        prepare(source, tmp_path / crop, config)
        cohort = Cohort(tmp_path / crop)
        (record,) = cohort.records()
        sizes[crop] = np.prod(record.shape)
        mask, grid = cohort.lungs(record.key)
        index = record.grid.to_index(grid.to_patient(np.argwhere(mask > 0)))
        assert (index > -0.5).all()
        assert (index < np.array(record.shape) - 0.5).all()
    assert sizes["lungs"] < sizes["body"] < sizes["none"]


def test_blosc2_holds_the_same_voxels(sample: Path, tmp_path: Path) -> None:
    pytest.importorskip("blosc2")
    source = sorted((sample / "scans" / "nifti").iterdir())[0]
    cohorts = []
    for store in ("npy", "blosc2"):
        config = PrepareConfig(workers=0, spacing_mm=4.0, store=store)
        prepare(source, tmp_path / store, config)
        cohorts.append(Cohort(tmp_path / store))
    one, two = cohorts
    (key,) = one.keys()
    for start in ((0, 0, 0), (-5, 20, 30), (70, 70, 80)):
        np.testing.assert_array_equal(
            one.read_box(key, start, (20, 20, 20)),
            two.read_box(key, start, (20, 20, 20)),
        )


def test_one_bad_scan_is_reported_and_masks_are_passed_over(
    sample: Path, tmp_path: Path
) -> None:
    inputs = tmp_path / "in"
    shutil.copytree(sample / "scans" / "nifti", inputs)
    good = sorted(inputs.iterdir())
    (inputs / "broken.nii.gz").write_bytes(good[0].read_bytes()[:5000])
    (inputs / "notes.txt").write_text("hello")
    shutil.copy(next((sample / "labels" / "lungs").iterdir()), inputs)
    shutil.copy(next((sample / "labels" / "lobes").iterdir()), inputs / "lobes.nii.gz")
    messages: list[tuple[int, int, str]] = []

    report = prepare(
        inputs,
        tmp_path / "cohort",
        COARSE,
        progress=lambda *step: messages.append(step),
    )

    assert len(report.prepared) == len(good)
    assert [failure.source.name for failure in report.failed] == ["broken.nii.gz"]
    assert "broken.nii.gz" in report.failed[0].error
    assert len(report.label_maps) == 2
    assert len(Cohort(tmp_path / "cohort")) == len(good)
    done, total, _ = messages[-1]
    assert done == total


def test_tables_say_which_scans_and_whose(sample: Path, tmp_path: Path) -> None:
    files = sorted((sample / "scans" / "nifti").iterdir())
    table = tmp_path / "scans.csv"
    rows = [(file, "same") for file in files] + [(files[0], "same")]
    table.write_text(
        "path,patient\n" + "".join(f"{file},{patient}\n" for file, patient in rows)
    )
    report = prepare(table, tmp_path / "cohort", COARSE)
    assert len(report.prepared) == 2
    assert len(Cohort(tmp_path / "cohort").patients()) == 1
    table.write_text("file\nx\n")
    with pytest.raises(BadLabels, match="path"):
        prepare(table, tmp_path / "other", HERE)


@pytest.mark.parametrize("content", ["none", "empty", "text", "broken"])
def test_nothing_is_left_of_a_cohort_that_came_to_nothing(
    tmp_path: Path, content: str
) -> None:
    inputs = tmp_path / "in"
    if content != "none":
        inputs.mkdir()
    if content == "text":
        (inputs / "a.txt").write_text("hello")
    if content == "broken":
        (inputs / "a.nii.gz").write_bytes(b"\x1f\x8b broken")
    with pytest.raises(BadScan) as problem:
        prepare(inputs, tmp_path / "cohort", HERE)
    assert str(inputs) in str(problem.value)
    assert problem.value.next_step
    assert not (tmp_path / "cohort").exists()


def test_other_settings_and_other_folders_are_refused(
    prepared: Path, sample: Path, tmp_path: Path
) -> None:
    with pytest.raises(BadCohort, match="spacing_mm"):
        prepare(sample / "scans", prepared, PrepareConfig(spacing_mm=1.5))
    with pytest.raises(BadCohort, match="crop"):
        prepare(sample / "scans", prepared, PrepareConfig(crop="lungs"))
    (tmp_path / "mine.txt").write_text("do not lose me")
    with pytest.raises(BadCohort, match="no cohort"):
        prepare(sample / "scans", tmp_path, HERE)
    assert (tmp_path / "mine.txt").exists()


def test_a_second_preparation_of_one_cohort_has_to_wait(
    cohort: Cohort, sample: Path
) -> None:
    import psutil

    from scanlearn.cohort.preparation.folder import _identity

    lock = cohort.layout.private / "preparing"
    lock.write_text(_identity(psutil.Process().ppid()))
    with pytest.raises(BadCohort, match="another preparation"):
        prepare(sample / "scans", cohort.path, HERE)
    # One that was killed does not stand in the way.
    host = lock.read_text().split()[0]
    lock.write_text(f"{host} 4194000 1")
    prepare(sample / "scans", cohort.path, HERE)
    assert not lock.exists()


def test_exclusions_are_written_into_the_catalogue(
    write_ct: Callable[..., Path], tmp_path: Path
) -> None:
    scans, cohort = tmp_path / "scans", tmp_path / "cohort"
    for name in ("a", "b", "c"):
        write_ct(scans / name, name)
    table = tmp_path / "exclusions.csv"
    table.write_text("source,series,volume,reason\nscans/b,,,metal artefacts\n")
    config = PrepareConfig(spacing_mm=8.0, workers=0)
    report = prepare(scans, cohort, config, exclusions=read_exclusions(table))
    assert list(report.excluded.values()) == ["metal artefacts"]
    (left_out,) = report.excluded
    opened = Cohort(cohort)
    used = opened.keys()
    assert set(opened.keys(excluded=True)) == {left_out, *used}
    assert left_out not in used
    assert "metal artefacts" in (cohort / "catalogue.csv").read_text()
    assert "scans/b" not in (cohort / "catalogue.csv").read_text()

    # Extending it changes no mind, and another exclusion reads no voxel again.
    other = used[0]
    more = {opened.sources()[other]: "moved while breathing"}
    report = prepare(scans, cohort, config, exclusions=more)
    assert report.prepared == ()
    assert set(report.excluded) == {left_out, other}
    opened = Cohort(cohort)
    opened.include(left_out)
    assert prepare(scans, cohort, config).excluded == {other: "moved while breathing"}


def test_exclusions_for_one_series_of_a_folder(tmp_path: Path) -> None:
    exclusions = {Source("/scans/a", "1.2"): "scout", Source("/scans/b"): "phantom"}
    table = tmp_path / "exclusions.csv"
    write_exclusions(table, exclusions)
    assert read_exclusions(table) == exclusions
    assert reason_for(Source("/scans/a", "1.2"), exclusions) == "scout"
    assert reason_for(Source("/scans/a", "1.3"), exclusions) == ""
    assert reason_for(Source("/scans/b", "9"), exclusions) == "phantom"


@pytest.mark.parametrize("line", ["scans/b,,,", ",,,no source", "scans/b"])
def test_an_exclusion_without_source_or_reason_is_refused(
    line: str, tmp_path: Path
) -> None:
    table = tmp_path / "exclusions.csv"
    table.write_text(f"source,series,volume,reason\n{line}\n")
    with pytest.raises(BadCohort, match="line 2"):
        read_exclusions(table)
