from __future__ import annotations

from pathlib import Path

import pytest

from scanlearn.encoders.encoder_kind import encoder_kind
from scanlearn.errors import BadRun
from scanlearn.tasks.registry import all_tasks
from scanlearn.tasks.shared.start_fits import check_start_fits, misfit

#: What each task starts from, on volumes and on radiographs.
FITTING = {
    "segmentation": ({"patches", "slices"}, {"slices"}),
    "detection": ({"patches"}, {"slices"}),
    "texture": ({"patches", "dense", "slices"}, {"patches", "dense", "slices"}),
    "classification": ({"slices"}, {"slices"}),
    "outcome": ({"patches", "dense", "slices"}, {"patches", "dense", "slices"}),
}

ARCHITECTURES = {
    "patches": "location-encoder",
    "dense": "dense-encoder",
    "slices": "slice-encoder",
}


def run_of(folder: Path, architecture: str) -> Path:
    card = folder / "checkpoints" / "encoder.json"
    card.parent.mkdir(parents=True)
    card.write_text(f'{{"architecture": "{architecture}"}}')
    return folder


def test_each_task_tells_which_encoders_fit(tmp_path: Path) -> None:
    runs = {kind: run_of(tmp_path / kind, a) for kind, a in ARCHITECTURES.items()}
    assert {kind: encoder_kind(run) for kind, run in runs.items()} == {
        kind: kind for kind in runs
    }
    for name, fitting in FITTING.items():
        task = all_tasks()[name]
        for flat, kinds in zip((False, True), fitting, strict=True):
            told = {k: misfit(task, run, radiographs=flat) for k, run in runs.items()}
            assert {kind for kind, why in told.items() if not why} == kinds


def test_a_start_that_does_not_fit_is_refused_by_name(tmp_path: Path) -> None:
    run = run_of(tmp_path / "drasclr_chest", "location-encoder")
    task = all_tasks()["classification"]
    with pytest.raises(BadRun, match=r"cannot start from .*drasclr_chest.*of slices"):
        check_start_fits(task, run, radiographs=True)
    check_start_fits(task, None, radiographs=True)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"architecture": "mine"}'])
def test_what_no_card_tells_is_left_to_the_training(tmp_path: Path, text: str) -> None:
    assert encoder_kind(tmp_path) is None
    card = tmp_path / "checkpoints" / "encoder.json"
    card.parent.mkdir()
    card.write_text(text)
    assert encoder_kind(tmp_path) is None
    assert not misfit(all_tasks()["detection"], tmp_path, radiographs=False)
