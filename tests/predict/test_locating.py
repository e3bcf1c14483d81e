"""Atlas and landmarks of an encoder in a scan, as files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from scanlearn.errors import BadRun
from scanlearn.predict.locating import locate_scans
from scanlearn.recipes.encoder_file import read_card
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.find import find_scans
from scanlearn.scans.labels import read_label_map


def test_files_say_where_the_atlas_lies(
    encoder_run: RunFolder, tiny_sample: Path, tmp_path: Path
) -> None:
    entry = next(e for e in find_scans(tiny_sample / "scans") if e.kind == "nifti")
    told: list[object] = []
    (summary,) = locate_scans(encoder_run.path, entry.path, tmp_path, tell=told.append)
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


def test_a_changed_atlas_is_refused(
    encoder_run: RunFolder, tiny_sample: Path, tmp_path: Path
) -> None:
    checkpoints = tmp_path / "run" / "checkpoints"
    checkpoints.mkdir(parents=True)
    card = json.loads((encoder_run.checkpoints / "encoder.json").read_text())
    card["atlas"]["landmarks"][0][0] += 0.1
    (checkpoints / "encoder.json").write_text(json.dumps(card))
    with pytest.raises(BadRun, match="atlas of this encoder"):
        locate_scans(tmp_path / "run", tiny_sample / "scans", tmp_path / "out")
