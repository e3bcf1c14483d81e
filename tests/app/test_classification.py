"""Radiographs with and without a shadow: labels, both methods, predictions, scores."""

from __future__ import annotations

import csv
import json

import nibabel as nib
import numpy as np
import pytest
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.comparison.study import Comparison
from scanlearn.config.comparison import parse_comparison
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadLabels, BadScan
from scanlearn.nets.image_classifier import ImageClassifier
from scanlearn.new_run import (
    finetuning_config,
    labels_for,
    new_finetuning,
    new_pretraining,
    pretraining_config,
)
from scanlearn.prediction.exports import export_prediction
from scanlearn.prediction.summary import read_prediction
from scanlearn.pretraining.registry import method_named, method_of
from scanlearn.runs.events import Epoch, Finished
from scanlearn.scans.files.picture import picture_grid
from scanlearn.scans.find import find_scans
from scanlearn.scans.scan import Acquisition, Scan
from scanlearn.tasks.classification.card import (
    load_classifier,
    read_classifier_card,
)
from scanlearn.tasks.classification.classifier import Classifier
from scanlearn.tasks.classification.labelled_images import open_classification
from scanlearn.tasks.classification.learn_full import ImageTraining
from scanlearn.tasks.classification.scores import evaluate_classification
from scanlearn.tasks.registry import task_named, task_of
from scanlearn.tasks.shared.predict_scans import predict_scans
from scanlearn.tasks.shared.suggestion import suggest
from scanlearn.worker import train_run

ENGINE = {
    "device": "cpu",
    "precision": "no",
    "threads": 1,
    "steps": 60,
    "save_every": 30,
    "validate_every": 20,
    "log_every": 20,
    "clip_norm": None,
}
PATIENTS, SIDE = 40, 48


def film(rng, shadow: bool):
    """Noise with a bright disc in its left half, or as many bright dots anywhere.

    Either way the image as a whole is as bright: only its places tell them apart.
    """
    pixels = gaussian_filter(rng.normal(size=(SIDE, SIDE + 8)), 2) * 120 + 90
    rows, columns = np.indices(pixels.shape)
    where = (int(rng.integers(12, 36)), int(rng.integers(10, 20)))
    near = np.hypot(rows - where[0], columns - where[1]) < 6
    if not shadow:
        near = rng.permutation(near.ravel()).reshape(near.shape)
    pixels = pixels + 90 * near
    return np.clip(pixels, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """Two tables: normal or abnormal with a test split, and findings."""
    folder = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(0)
    (folder / "scans").mkdir()
    rows, findings = [], []
    for n in range(PATIENTS):
        shadow = n % 4 >= 2
        pixels = film(rng, shadow)
        path = f"scans/film{n:02d}.png"
        Image.fromarray(pixels).save(folder / path)
        split = "test" if n >= PATIENTS - 8 else ""
        who = f"patient{n}"
        rows.append((path, who, "abnormal" if shadow else "normal", split))
        bright = bool(pixels[:, -15:].mean() > 92)
        said = ["shadow"] * shadow + ["bright"] * bright
        findings.append((path, who, ";".join(said) or "normal", split))
    header = ("path", "patient", "label", "split")
    for name, some in (("classes.csv", rows), ("findings.csv", findings)):
        with (folder / name).open("w", newline="") as file:
            csv.writer(file).writerows([header, *some])
    config = PrepareConfig(radiograph_size=SIDE + 8, workers=0)
    prepare(folder / "classes.csv", folder / "cohort", config)
    return folder


@pytest.fixture(scope="module")
def pretrained(films):
    changes = {
        "recipe": {
            "trunk": {"architecture": "small", "width": 8},
            "image_side": 40,
            "image_crop": 32,
            "slice_side": 32,
            "batch": 16,
            "head_dim": 8,
            "images": {"clusters": 8, "freeze_steps": 4},
        },
        "engine": ENGINE | {"steps": 12},
    }
    config = pretraining_config(
        [films / "cohort"],
        method=method_named("joint"),
        preset_name="quick",
        changes=changes,
    )
    run = new_pretraining(method_of(config), config, films / "joint")
    assert isinstance(list(train_run(run))[-1], Finished)
    return run


def learn(films, out, *, start=None, table="classes.csv", steps=60, **recipe):
    if start is None:
        recipe.setdefault("trunk", {"architecture": "small", "width": 8})
    config = finetuning_config(
        [films / "cohort"],
        task=task_named("classification"),
        preset_name="quick",
        start_from=start,
        changes={"recipe": recipe, "engine": ENGINE | {"steps": steps}},
    )
    run = new_finetuning(
        config, labels_for(task_of(config), config, films / table), out
    )
    events = list(train_run(run))
    assert isinstance(events[-1], Finished), events[-1]
    return run, events


@pytest.fixture(scope="module")
def scratch(films):
    run, events = learn(films, films / "scratch", steps=120)
    assert read_classifier_card(run.path).method == "full"
    epochs = [event for event in events if isinstance(event, Epoch)]
    assert epochs
    assert {"AUC", "average precision"} == set(epochs[0].values)
    return run


@pytest.fixture(scope="module")
def frozen(films, pretrained):
    run, _ = learn(films, films / "frozen", start=pretrained.path)
    card = read_classifier_card(run.path)
    assert card.method == "frozen"
    assert card.pretrained == "joint"
    assert set(card.held_out) == {"AUC", "average precision"}
    assert sum(card.labels) == PATIENTS - 8
    return run


def test_new_patients_are_scored_with_intervals(films, scratch) -> None:
    cohort = Cohort(films / "cohort")
    found = evaluate_classification(scratch, films / "classes.csv", cohort, print)
    auc = found.mean["AUC"]
    assert auc.n == 8
    assert auc.mean > 0.8
    assert auc.low <= auc.mean <= auc.high
    assert set(found.classes) == {"abnormal"}
    row = found.classes["abnormal"]
    assert {"AUC", "average precision", "sensitivity", "specificity"} == set(row)
    assert any("Only 8 patients" in remark for remark in found.remarks)
    assert any("probability of 0.5" in remark for remark in found.remarks)
    assert any("32 images of patients trained on" in one for one in found.remarks)
    by_hand = [
        case["probabilities"]["abnormal"] >= 0.5
        for case in found.cases
        if case["label"] == ["abnormal"]
    ]
    assert row["sensitivity"].mean == np.mean(by_hand)


def test_from_scratch_batch_norm_describes_the_training_images(scratch) -> None:
    """By hand for the first one; else short trainings lean to one class."""
    opened = open_classification(scratch.config(), scratch)
    examples = ImageTraining(scratch.config(), opened).examples
    assert 20 < len(examples) <= 32
    network, _ = load_classifier(scratch.path)
    x = examples.stack(range(len(examples)), torch.device("cpu"))
    with torch.no_grad():
        seen = network.trunk.conv1(x).movedim(1, 0).flatten(1)
    norm = network.trunk.bn1
    torch.testing.assert_close(norm.running_mean, seen.mean(1), atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(norm.running_var, seen.var(1), atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("which", ["scratch", "frozen"])
def test_a_folder_gets_a_table_and_maps_that_add_up(
    films, which, request, tmp_path
) -> None:
    run = request.getfixturevalue(which)
    source = films / "some"
    source.mkdir(exist_ok=True)
    for n in (32, 34):
        name = f"film{n}.png"
        (source / name).write_bytes((films / "scans" / name).read_bytes())
    summaries = predict_scans(
        task_of(run.config()), run, source, tmp_path, extras=["figures"]
    )
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["scan"] for row in rows] == ["film32", "film34"]
    assert rows[0]["not_for_clinical_use"] == "yes"
    for row, summary in zip(rows, summaries, strict=True):
        found = read_prediction(summary)
        shares = found.facts["probabilities_of"]
        assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
        assert float(row["probability abnormal"]) == shares["abnormal"]
        assert (row["label"] == "abnormal") == (shares["abnormal"] >= 0.5)
        assert found.why_not("nifti") == ""
        assert found.why_not("figures") == ""
        assert "outlines nothing" in found.why_not("dicom-seg")
        image = nib.load(found.maps[0])
        assert image.shape == (1, SIDE, SIDE + 8, 2)
        # What speaks for one of two classes speaks against the other.
        maps = np.asarray(image.dataobj)
        np.testing.assert_allclose(maps[..., 0], -maps[..., 1], atol=1e-4)
        assert (tmp_path / f"{found.scan}_activation.png").stat().st_size > 10_000
    (entry,) = find_scans(source / "film32.png")
    saved = export_prediction(
        read_prediction(summaries[0]), entry, tmp_path / "x", ["nifti", "figures"]
    )
    assert [file.name for file in saved] == [
        "film32_activation.nii.gz",
        "film32_activation.png",
    ]


def test_the_map_of_an_image_without_padding_adds_up_to_its_logit(scratch) -> None:
    """In the image's own grid: a square of the network's own size."""
    classifier = Classifier(scratch.path)
    side = classifier.card.side
    rng = np.random.default_rng(3)
    pixels = gaussian_filter(rng.normal(size=(side, side)), 2)[None].astype(np.float32)
    classifier.card = classifier.card.model_copy(update={"stored_size": side})
    scan = Scan(pixels, picture_grid(side, side), Acquisition(modality="DX"))
    found = classifier.classify(scan)
    bias = classifier.network.head.bias.detach().numpy()
    logits = found.activation.mean(axis=(1, 2, 3)) + bias
    shares = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(shares, found.probabilities, atol=1e-3)


class Brightness(torch.nn.Module):
    """A trunk that hands the image on, coarsely."""

    dims = (1,)

    def forward(self, x):
        return [torch.nn.functional.avg_pool2d(x, 4)]


@pytest.mark.parametrize("shape", [(60, 100), (100, 60), (64, 64)])
def test_the_map_lies_where_the_image_is_bright(scratch, shape) -> None:
    classifier = Classifier(scratch.path)
    classifier.network = ImageClassifier(Brightness(), classes=2)
    with torch.no_grad():
        classifier.network.head.weight.copy_(torch.tensor([[-1.0], [1.0]]))
    pixels = np.zeros((1, *shape), np.float32)
    pixels[0, 40:50, 20:30] = 1000.0
    scan = Scan(pixels, picture_grid(*shape), Acquisition(modality="DX"))
    found = classifier.classify(scan)
    assert found.activation.shape == (2, 1, *shape)
    bright = found.activation[1, 0]
    middle = np.argwhere(bright > (bright.min() + bright.max()) / 2).mean(axis=0)
    np.testing.assert_allclose(middle, [44.5, 24.5], atol=1.5)


def test_a_cohort_is_predicted_by_its_keys(films, frozen, tmp_path) -> None:
    summaries = predict_scans(
        task_of(frozen.config()), frozen, films / "cohort", tmp_path
    )
    assert len(summaries) == PATIENTS
    cohort, classifier = Cohort(films / "cohort"), Classifier(frozen.path)
    first = read_prediction(summaries[0])
    record = cohort.record(first.scan)
    wanted = classifier.stored(cohort.voxels(record.key), record.intensity)
    found = list(first.facts["probabilities_of"].values())
    np.testing.assert_allclose(found, wanted, atol=0.02)


def test_patients_trained_on_are_scored_as_the_training_did(films, frozen) -> None:
    cohort = Cohort(films / "cohort")
    found = evaluate_classification(frozen, frozen.inputs, cohort, print)
    assert found.mean["AUC"].n == 8  # the table's test split is in the inputs
    kept = [
        item
        for item in json.loads((frozen.inputs / "image_labels.json").read_text())[
            "items"
        ]
        if item["split"] != "test"
    ]
    draft = films / "trained"
    draft.mkdir(exist_ok=True)
    content = {"classes": ["normal", "abnormal"], "several": False, "items": kept}
    (draft / "image_labels.json").write_text(json.dumps(content))
    again = evaluate_classification(frozen, draft, cohort, print)
    assert again.mean == read_classifier_card(frozen.path).held_out
    content["classes"] = ["normal", "odd"]
    (draft / "image_labels.json").write_text(json.dumps(content))
    with pytest.raises(BadLabels, match="'odd', which was not learned"):
        evaluate_classification(frozen, draft, cohort, print)


def test_findings_are_learned_by_both_methods(films, pretrained, tmp_path) -> None:
    for name, options in (("full", {"steps": 8}), ("frozen", {})):
        run, _ = learn(
            films,
            tmp_path / name,
            start=pretrained.path,
            table="findings.csv",
            method=name,
            **options,
        )
        card = read_classifier_card(run.path)
        assert card.several
        assert card.classes == ("bright", "shadow")
        assert card.method == name
        (summary,) = predict_scans(
            task_of(run.config()), run, films / "scans" / "film00.png", tmp_path
        )
        shares = read_prediction(summary).facts["probabilities_of"]
        assert set(shares) == {"bright", "shadow"}
        cohort = Cohort(films / "cohort")
        found = evaluate_classification(run, films / "findings.csv", cohort, print)
        assert set(found.classes) == {"bright", "shadow"}


def test_images_of_doubt_are_suggested(films, frozen, tmp_path) -> None:
    few = labels_for(task_of(frozen.config()), frozen.config(), films / "classes.csv")
    some = few.of(few.patient_keys[:10])
    run = new_finetuning(frozen.config(), some, tmp_path / "few")
    assert isinstance(list(train_run(run))[-1], Finished)
    found = suggest(task_of(run.config()), run, films / "cohort", count=3)
    assert len({one.patient for one in found} & set(some.patient_keys)) == 0
    assert len(found) == 3
    assert all(0 <= one.doubt <= 1 for one in found)


def test_a_comparison_has_a_frozen_and_a_trained_arm(
    films, pretrained, tmp_path
) -> None:
    config = parse_comparison(
        {
            "task": "classification",
            "preset": "quick",
            "cohort": films / "cohort",
            "start_from": pretrained.path,
            "budgets": [12],
            "repeats": 1,
            "changes": {"engine": ENGINE | {"steps": 4}},
        }
    )
    # A comparison holds out patients of its own.
    with (films / "classes.csv").open() as file:
        rows = [row[:3] for row in csv.reader(file)]
    with (films / "unsplit.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    made = Comparison.create(
        tmp_path / "c", task_named(config.task), config, films / "unsplit.csv"
    )
    verdict = made.run(lambda event: None)
    (point,) = verdict.points
    assert 0 <= point.pretrained.mean <= 1
    assert 0 <= point.scratch.mean <= 1
    cards = {
        arm: read_classifier_card(made.path / "trainings" / f"{arm}_12_repeat_0")
        for arm in ("pretrained", "scratch")
    }
    assert cards["pretrained"].method == "frozen"
    assert cards["scratch"].method == "full"
    assert cards["pretrained"].trunk == cards["scratch"].trunk
    assert {card.images for card in cards.values()} == {12}


def test_a_volume_is_refused(frozen, tmp_path) -> None:
    path = tmp_path / "volume.nii.gz"
    nib.save(nib.Nifti1Image(np.zeros((8, 9, 10), np.int16), np.eye(4)), path)
    with pytest.raises(BadScan, match="trained on radiographs"):
        predict_scans(task_of(frozen.config()), frozen, path, tmp_path)
    with pytest.raises(BadScan, match="no DICOM-SEG"):
        predict_scans(
            task_of(frozen.config()), frozen, path, tmp_path, extras=["dicom-seg"]
        )
