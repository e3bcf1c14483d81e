"""Atlas and landmarks of an encoder in a scan, as files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scanlearn.cohort.atlas.atlas_on_scans import choose_atlas
from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.plan import source_of
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.config.drasclr import LandmarkConfig
from scanlearn.encoders.encoder_file import read_card
from scanlearn.errors import BadRun
from scanlearn.prediction.representation.atlas_maps import atlas_of_run, locate_scans
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.find import find_scans
from scanlearn.scans.labels.read_labels import read_label_map


def test_files_say_where_the_atlas_lies(
    encoder_run: RunFolder, tiny_sample: Path, tmp_path: Path
) -> None:
    entry = next(e for e in find_scans(tiny_sample / "scans") if e.kind == "nifti")
    told: list[object] = []
    atlas = atlas_of_run(encoder_run.path)
    (summary,) = locate_scans(atlas, entry.path, tmp_path, tell=told.append)
    about = json.loads(summary.read_text())
    assert about["method"] == "affine"
    assert about["usable"] is True
    assert about["quality"]["dice"] > 0.8
    name = summary.name.removesuffix("_locations.json")
    table = pd.read_csv(tmp_path / f"{name}_landmarks.csv")
    assert len(table) == len(read_card(encoder_run.path).atlas["landmarks"])
    assert table["inside"].between(0, 1).all()
    labels, grid = read_label_map(tmp_path / f"{name}_atlas.nii.gz")
    assert set(np.unique(labels)) == {0, 1, 2}
    # Landmarks lie within reach of the drawn shape; right is at lower x.
    right, left = (
        grid.to_patient(np.argwhere(labels == side))[:, 0].mean() for side in (1, 2)
    )
    assert right < left
    low, high = grid.bounds_mm()
    points = table[["x", "y", "z"]].to_numpy()
    assert ((points > low - 20) & (points < high + 20)).all()
    assert len(told) == 1


def test_a_scan_of_a_cohort_is_placed_with_its_mask_there(
    tiny_cohort: Path, tiny_sample: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_cohort, tmp_path / "cohort"))
    entry = next(e for e in find_scans(tiny_sample / "scans") if e.kind == "nifti")
    sources = Cohort(folder).sources()
    key = next(k for k, source in sources.items() if source == source_of(entry))
    mask, grid = Cohort(folder).lungs(key)
    swapped = np.where(mask > 0, 3 - mask, 0).astype(np.uint8)
    np.savez(Cohort(folder).layout.lungs(key), mask=swapped, affine=grid.affine)
    cohorts = WorkingCohorts([folder], None)
    atlas = choose_atlas(cohorts, LandmarkConfig(atlas="default", at_most=10))
    found = {}
    for own in (None, cohorts):
        (path,) = locate_scans(atlas, entry.path, tmp_path / "out", cohorts=own)
        found[own] = json.loads(path.read_text())["usable"]
    assert found == {None: True, cohorts: False}


def test_a_changed_atlas_is_refused(encoder_run: RunFolder, tmp_path: Path) -> None:
    checkpoints = tmp_path / "run" / "checkpoints"
    checkpoints.mkdir(parents=True)
    card = json.loads((encoder_run.checkpoints / "encoder.json").read_text())
    card["atlas"]["landmarks"][0][0] += 0.1
    (checkpoints / "encoder.json").write_text(json.dumps(card))
    with pytest.raises(BadRun, match="atlas of this encoder"):
        atlas_of_run(tmp_path / "run")
