"""A checkpoint of DrasCLR's own code: fine-tuned from, embedded with."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest
import torch

from scanlearn.cli import main
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.encoders.encoder_file import read_card
from scanlearn.nets.location_encoder import LocationEncoder
from scanlearn.new_run import finetuning_config, labels_for, new_finetuning
from scanlearn.prediction.summary import read_prediction
from scanlearn.pretraining.released.drasclr import _CONV, _LAYERS, _NORM
from scanlearn.runs.events import Finished
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.registry import task_named, task_of
from scanlearn.tasks.shared.predict_scans import predict_scans
from scanlearn.tasks.texture.card import load_texture
from scanlearn.worker import train_run

EMBEDDED = 128


@pytest.fixture(scope="module")
def fine_cohort(tiny_sample, tmp_path_factory):
    """Return two phantoms at 1 mm, the release's voxel size."""
    out = tmp_path_factory.mktemp("fine") / "cohort"
    prepare(
        tiny_sample / "scans" / "nifti", out, PrepareConfig(spacing_mm=1.0, workers=0)
    )
    return out


@pytest.fixture(scope="module")
def imported(tmp_path_factory) -> RunFolder:
    """Import a narrow encoder from a file as the release's training writes it."""
    folder = tmp_path_factory.mktemp("released")
    torch.manual_seed(0)
    own = LocationEncoder(width=2, dim=EMBEDDED, experts=2).state_dict()
    named = {
        f"module.encoder_q.{layer}.{theirs}": own[f"layers.{number}.{ours}"]
        for number, (conv, norm) in enumerate(_LAYERS)
        for layer, names in ((conv, _CONV), (norm, _NORM))
        for theirs, ours in names.items()
    }
    named["module.encoder_q.fc.0.weight"] = torch.zeros(EMBEDDED, EMBEDDED)
    torch.save({"epoch": 20, "state_dict": named}, folder / "checkpoint_0020.pth.tar")
    with pytest.MonkeyPatch.context() as patch:
        file, run = folder / "checkpoint_0020.pth.tar", folder / "released"
        patch.setattr(
            "sys.argv", ["scanlearn", "import-weights", "drasclr", str(file), str(run)]
        )
        with pytest.raises(SystemExit) as ended:
            main()
    assert not ended.value.code
    return RunFolder(run)


def learn(cohort, imported, labels, out, task, **recipe):
    config = finetuning_config(
        [cohort],
        task=task_named(task),
        preset_name="quick",
        start_from=imported.path,
        changes={
            "recipe": recipe,
            "engine": {"device": "cpu", "precision": "no", "threads": 1, "steps": 1},
        },
    )
    run = new_finetuning(config, labels_for(task_of(config), config, labels), out)
    *_, last = train_run(run)
    assert isinstance(last, Finished), last
    return run


def test_texture_starts_from_it_and_is_mapped(
    fine_cohort, imported, tiny_sample, tmp_path
):
    head, *rows = (tiny_sample / "emphysema_points.csv").read_text().splitlines()
    points = tmp_path / "points.csv"
    here = [str(tiny_sample / row) for row in rows if row.startswith("scans/nifti")]
    points.write_text("\n".join([head, *here]))
    run = learn(
        fine_cohort, imported, points, tmp_path / "run", "texture", stride_mm=48.0
    )
    _describer, model, card = load_texture(run.path)
    assert card.pretrained == imported.name
    assert model.weight.shape[1] == EMBEDDED
    source = tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz"
    (summary,) = predict_scans(task_of(run.config()), run, source, tmp_path / "out")
    found = np.asarray(nib.load(read_prediction(summary).labels).dataobj)
    assert found.any()
    assert not found.all()


def test_a_segmentation_starts_from_it_at_its_voxel_size(
    fine_cohort, imported, tiny_sample, tmp_path
):
    labels = tiny_sample / "labels" / "lungs"
    run = learn(
        fine_cohort,
        imported,
        labels,
        tmp_path / "run",
        "segmentation",
        spacing_mm=None,
        batch=2,
        tile=32,
    )
    card = json.loads((run.checkpoints / "model.json").read_text())
    assert (card["pretrained"], card["width"]) == (imported.name, 2)
    assert (card["stored_spacing_mm"], card["factor"]) == ([1, 1, 1], 1)


def test_scans_are_embedded_with_it(fine_cohort, imported, tmp_path, monkeypatch):
    file = tmp_path / "vectors.npz"
    command = ["embed", str(imported.path), str(fine_cohort), "--out", str(file)]
    monkeypatch.setattr("sys.argv", ["scanlearn", *command])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    vectors = np.load(file)["vectors"]
    assert len(vectors) == 2
    assert np.isfinite(vectors).all()
    assert not np.array_equal(vectors[0], vectors[1])
    assert read_card(imported.path).method == "drasclr"
