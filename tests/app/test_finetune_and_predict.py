"""From a few labels to a prediction on the scan's own grid, all real, in seconds."""

from __future__ import annotations

import csv
import json

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy.stats import entropy

from scanlearn.cohort.catalogue import Cohort
from scanlearn.encoders.encoder_file import read_card
from scanlearn.errors import BadLabels, BadScan
from scanlearn.nets.segmentation_loss import IGNORE
from scanlearn.new_run import finetuning_config, new_finetuning
from scanlearn.prediction.summary import read_prediction
from scanlearn.runs.events import Crashed, Finished, Message, Step
from scanlearn.scans.geometry import grid_from_ras
from scanlearn.scans.labels.read_labels import read_label_map, read_label_names
from scanlearn.scans.read import read_scan
from scanlearn.tasks.registry import task_named, task_of
from scanlearn.tasks.segmentation.card import load_segmenter
from scanlearn.tasks.segmentation.scores import evaluate_segmentation
from scanlearn.tasks.segmentation.segmenter import Segmenter
from scanlearn.tasks.shared.label_maps import collect_labels
from scanlearn.tasks.shared.predict_scans import predict_scans
from scanlearn.worker import train_run

ENGINE = {
    "steps": 25,
    "device": "cpu",
    "precision": "no",
    "threads": 1,
    "log_every": 5,
    "save_every": 100,
}


def finetune(cohort, labels, out, *, start_from=None, **changes):
    config = finetuning_config(
        [cohort],
        task=task_named("segmentation"),
        preset_name="quick",
        start_from=start_from,
        changes={
            "recipe": {"spacing_mm": None, "batch": 4, "width": 2, "tile": 32},
            "engine": ENGINE | changes,
        },
    )
    found = collect_labels(labels, Cohort(cohort))
    return new_finetuning(config, found, out)


@pytest.fixture(scope="module")
def encoder_run(pretraining):
    run = pretraining("encoder", minutes=0)
    list(train_run(run))
    return run


@pytest.fixture(scope="module")
def segmenter(tiny_cohort, tiny_sample, encoder_run, tmp_path_factory):
    """Return a fine-tuned run: right and left lung, from a pre-trained encoder."""
    run = finetune(
        tiny_cohort,
        tiny_sample / "labels" / "lungs",
        tmp_path_factory.mktemp("finetuned") / "lungs",
        start_from=encoder_run.path,
        steps=60,
    )
    events = list(train_run(run))
    assert isinstance(events[-1], Finished)
    losses = [event.values["loss"] for event in events if isinstance(event, Step)]
    # Four tiles a step differ much in how hard they are: a mean of some steps is told
    # from a mean, and 25 steps were within their noise.
    assert np.mean(losses[-4:]) < np.mean(losses[:4]) - 0.1, losses
    return run


@pytest.fixture(scope="module")
def predicted(segmenter, tiny_sample, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "predictions"
    told = []
    summaries = predict_scans(
        task_of(segmenter.config()),
        segmenter,
        tiny_sample / "scans",
        out,
        tell=told.append,
    )
    return out, summaries, told


def test_every_scan_gets_its_files(predicted):
    out, summaries, told = predicted
    names = [f"PHANTOM-000{n}" for n in (1, 2, 3, 4)]
    assert sorted(path.name for path in summaries) == [
        f"{name}_prediction.json" for name in names
    ]
    suffixes = (
        *("labels.nii.gz", "probabilities.nii.gz", "uncertainty.nii.gz"),
        *("volumes.csv", "densitometry.csv", "prediction.json"),
    )
    files = {f"{n}_{s}" for n in names for s in suffixes}
    assert {path.name for path in out.iterdir()} == files
    steps = [event for event in told if isinstance(event, Step)]
    assert steps[-1].step == steps[-1].values["total"]


@pytest.mark.parametrize("number", [1, 2])
def test_a_prediction_lies_on_the_grid_of_its_source(predicted, tiny_sample, number):
    """Number 1 came as a DICOM series, number 2 as NIfTI."""
    name = f"PHANTOM-000{number}"
    source = {
        1: tiny_sample / "scans" / "dicom" / name,
        2: tiny_sample / "scans" / "nifti" / f"{name}.nii.gz",
    }[number]
    grid = read_scan(source).grid
    out, _, _ = predicted
    labels = nib.load(out / f"{name}_labels.nii.gz")
    probabilities = nib.load(out / f"{name}_probabilities.nii.gz")
    assert grid_from_ras(labels.shape, labels.affine).matches(grid)
    assert labels.get_data_dtype() == np.uint8
    assert probabilities.shape == (*labels.shape, 3)
    assert np.array_equal(probabilities.affine, labels.affine)


def test_probabilities_sum_to_one_and_labels_are_their_largest(predicted):
    out, summaries, _ = predicted
    for summary in summaries:
        document = json.loads(summary.read_text())
        shares = nib.load(out / document["probabilities"]).get_fdata(dtype=np.float32)
        labels = np.asarray(nib.load(out / document["labels"]).dataobj)
        assert shares.min() >= 0
        assert shares.max() <= 1
        assert np.abs(shares.sum(axis=-1) - 1).max() <= 2 / 255 * shares.shape[-1]
        assert set(np.unique(labels)) <= {0, 1, 2}
        chosen = np.take_along_axis(shares, labels[..., None].astype(int), axis=-1)
        assert np.array_equal(chosen[..., 0], shares.max(axis=-1))


def test_volumes_are_those_of_the_label_map(predicted):
    out, summaries, _ = predicted
    for summary in summaries:
        document = json.loads(summary.read_text())
        labels = nib.load(out / document["labels"])
        voxel_ml = abs(np.linalg.det(labels.affine[:3, :3])) / 1000
        with (out / f"{document['scan']}_volumes.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [row["value"] for row in rows] == ["1", "2"]
        for row, one in zip(rows, document["classes"], strict=True):
            count = np.count_nonzero(np.asarray(labels.dataobj) == int(row["value"]))
            assert float(row["volume_ml"]) == pytest.approx(count * voxel_ml, abs=1e-3)
            assert one["ml"] == float(row["volume_ml"])
            assert one["name"] == row["class"]
        assert document["disclaimer"] == "Not for clinical use"
        assert document["run"] == "lungs"


def test_several_views_say_how_sure_volumes_are(segmenter, tiny_sample, tmp_path):
    scan = tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz"
    (summary,) = predict_scans(
        task_of(segmenter.config()), segmenter, scan, tmp_path, views=3
    )
    found = read_prediction(summary)
    assert all(one.sd_ml > 0 for one in found.classes)
    assert " ± " in found.classes[0].volume_text
    with (tmp_path / "PHANTOM-0002_volumes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["sd_ml"]) for row in rows] == [c.sd_ml for c in found.classes]
    unsure = np.asarray(nib.load(found.uncertainty).dataobj)
    shares = np.asarray(nib.load(found.probabilities).dataobj)
    expected = entropy(shares, axis=-1) / np.log(3)
    # Both were rounded to steps of 1/255; entropy is steep where a class is rare.
    assert np.abs(unsure - expected).max() < 0.02


def test_a_dicom_series_gets_a_segmentation_and_figures(
    predicted, segmenter, tiny_sample, tmp_path
):
    out, _, _ = predicted
    series = tiny_sample / "scans" / "dicom" / "PHANTOM-0001"
    extras = ["dicom-seg", "figures"]
    (summary,) = predict_scans(
        task_of(segmenter.config()), segmenter, series, tmp_path, extras=extras
    )
    document = json.loads(summary.read_text())
    grid = read_scan(series).grid
    labels, _ = read_label_map(tmp_path / document["dicom_seg"], like=grid)
    nifti, _ = read_label_map(out / "PHANTOM-0001_labels.nii.gz", like=grid)
    assert np.array_equal(labels, nifti)
    assert read_label_names(tmp_path / document["dicom_seg"]) == {
        one["value"]: one["name"] for one in document["classes"]
    }
    assert len(document["figures"]) == 3
    assert all((tmp_path / name).exists() for name in document["figures"])
    file = tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz"
    with pytest.raises(BadScan, match="not DICOM"):
        predict_scans(
            task_of(segmenter.config()),
            segmenter,
            file,
            tmp_path / "none",
            extras=extras,
        )
    assert not (tmp_path / "none").exists()


def test_densities_are_those_of_the_lungs(predicted, tiny_sample):
    out, _, told = predicted
    with (out / "PHANTOM-0002_densitometry.csv").open() as file:
        whole = next(csv.DictReader(file))
    scan = read_scan(tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz")
    truth = tiny_sample / "labels" / "lungs" / "PHANTOM-0002_labels.nii.gz"
    lungs, _ = read_label_map(truth, like=scan.grid)
    hu = np.asarray(scan.voxels)[lungs > 0]
    # At 6 x 4 x 4 mm the border of the lungs is a large part of them.
    assert float(whole["mean_hu"]) == pytest.approx(hu.mean(), abs=60)
    ml = hu.size * scan.grid.voxel_ml
    assert float(whole["volume_ml"]) == pytest.approx(ml, rel=0.15)
    assert "6 mm are thick" in whole["caution"]
    assert any("6 mm are thick" in e.text for e in told if isinstance(e, Message))


def test_a_turned_file_gets_the_same_prediction(
    predicted, segmenter, tiny_sample, tmp_path
):
    """The same voxels in another array order and direction are the same scan."""
    out, _, _ = predicted
    source = nib.load(tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz")
    turn = nib.orientations.axcodes2ornt(("A", "S", "L"))
    turn = nib.orientations.ornt_transform(nib.io_orientation(source.affine), turn)
    nib.save(source.as_reoriented(turn), tmp_path / "turned.nii.gz")
    predict_scans(
        task_of(segmenter.config()),
        segmenter,
        tmp_path / "turned.nii.gz",
        tmp_path / "out",
    )
    mine = nib.load(tmp_path / "out" / "turned_labels.nii.gz")
    assert nib.aff2axcodes(mine.affine) == ("A", "S", "L")
    theirs = nib.load(out / "PHANTOM-0002_labels.nii.gz").as_reoriented(turn)
    assert np.allclose(mine.affine, theirs.affine)
    same = np.asarray(mine.dataobj) == np.asarray(theirs.dataobj)
    assert same.mean() > 0.9999


def test_a_scan_that_cannot_be_read_is_told_and_passed_over(
    segmenter, tiny_sample, tmp_path
):
    folder = tmp_path / "scans"
    folder.mkdir()
    whole = tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz"
    (folder / "good.nii.gz").write_bytes(whole.read_bytes())
    (folder / "torn.nii.gz").write_bytes(whole.read_bytes()[:5000])
    told = []
    written = predict_scans(
        task_of(segmenter.config()),
        segmenter,
        folder,
        tmp_path / "out",
        tell=told.append,
    )
    assert [path.name for path in written] == ["good_prediction.json"]
    remarks = [e.text for e in told if isinstance(e, Message)]
    assert any("torn.nii.gz" in text for text in remarks)
    with pytest.raises(BadScan, match=r"torn\.nii\.gz"):
        predict_scans(
            task_of(segmenter.config()),
            segmenter,
            folder / "torn.nii.gz",
            tmp_path / "none",
        )
    assert not (tmp_path / "none").exists()


def test_an_evaluation_compares_with_what_was_painted(
    segmenter, tiny_cohort, tiny_sample
):
    labels = tiny_sample / "labels" / "lungs"
    cohort = Cohort(tiny_cohort)
    found = evaluate_segmentation(segmenter, labels, cohort, lambda event: None)
    assert len(found.cases) == 4
    assert all(case["trained_on"] for case in found.cases)
    text = " ".join(found.remarks)
    assert "Only 4 patients" in text
    assert "trained on" in text
    segment = Segmenter(segmenter.path).segment
    dices, volumes = [], []
    for item in collect_labels(labels, cohort).items:
        guess, truth = segment(cohort.scan(item.scan)).labels == 1, item.read() == 1
        dices.append(2 * (guess & truth).sum() / (guess.sum() + truth.sum()))
        volumes.append(truth.sum() * item.grid.voxel_ml)
    first = next(iter(found.classes.values()))
    assert first["dice"].mean == pytest.approx(np.mean(dices))
    assert first["dice"].n == 4
    assert first["surface_mm"].mean > 0
    assert first["true_ml"].mean == pytest.approx(np.mean(volumes))
    assert "phantom" not in json.dumps(found.to_dict()).lower()


def test_scans_trained_on_are_left_out_of_the_means(tiny_cohort, tiny_sample, tmp_path):
    masks = tiny_sample / "labels" / "lungs"
    first = masks / "PHANTOM-0001_labels.nii.gz"
    run = finetune(tiny_cohort, first, tmp_path / "run", steps=1)
    list(train_run(run))
    found = evaluate_segmentation(run, masks, Cohort(tiny_cohort), lambda event: None)
    assert sum(case["trained_on"] for case in found.cases) == 1
    assert found.mean["dice"].n == 3
    assert any("1 of 4 scans" in remark for remark in found.remarks)


def test_the_encoder_of_the_pretraining_is_taken_over(segmenter, encoder_run):
    network, card = load_segmenter(segmenter.path)
    assert card.pretrained == encoder_run.name
    assert (card.width, card.dim, card.experts) == (2, 8, 2)
    assert card.step == 60
    assert card.frame == "lungs"
    assert card.knee == read_card(encoder_run.path).knee == network.encoder.tone.knee
    assert card.knee is not None
    assert not any(p.isnan().any() for p in network.parameters())


def test_a_run_of_labels_names_no_patient(segmenter):
    for path in segmenter.path.rglob("*"):
        assert "phantom" not in path.name.lower()
        if path.is_file():
            assert b"phantom" not in path.read_bytes().lower(), path


def test_a_few_painted_slices_are_enough(tiny_cohort, tiny_sample, tmp_path):
    """Unpainted slices are ignored in training, not taken for background."""
    source = nib.load(tiny_sample / "labels" / "lungs" / "PHANTOM-0002_labels.nii.gz")
    painted = np.zeros(source.shape, np.uint8)
    axis = int(np.argmax(np.abs(source.affine[2, :3])))
    for k in (15, 25, 35):
        index = tuple(k if i == axis else slice(None) for i in range(3))
        painted[index] = np.asarray(source.dataobj)[index] > 0
    (tmp_path / "labels").mkdir()
    image = nib.Nifti1Image(painted, source.affine)
    nib.save(image, tmp_path / "labels" / "PHANTOM-0002.nii.gz")
    run = finetune(tiny_cohort, tmp_path / "labels", tmp_path / "run", steps=3)
    events = list(train_run(run))
    assert isinstance(events[-1], Finished)
    (inside,) = run.inputs.glob("*_labels.nii.gz")
    values, counts = np.unique(nib.load(inside).dataobj, return_counts=True)
    assert set(values) == {0, 1, IGNORE}
    assert counts[-1] > counts[:-1].sum()


def test_labels_taken_away_from_a_run_are_missed(tiny_cohort, tiny_sample, tmp_path):
    run = finetune(
        tiny_cohort, tiny_sample / "labels" / "lungs", tmp_path / "run", steps=2
    )
    (run.inputs / "classes.json").unlink()
    last = list(train_run(run))[-1]
    assert isinstance(last, Crashed)
    assert last.mendable
    assert "classes.json" in last.error


def test_labels_on_another_grid_leave_no_run(tiny_cohort, tmp_path):
    (tmp_path / "labels").mkdir()
    image = nib.Nifti1Image(np.ones((9, 9, 9), np.uint8), np.diag([4.0, 4, 6, 1]))
    nib.save(image, tmp_path / "labels" / "PHANTOM-0002_labels.nii.gz")
    with pytest.raises(BadLabels, match="PHANTOM-0002_labels"):
        finetune(tiny_cohort, tmp_path / "labels", tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["labels"]


def test_a_resumed_finetuning_ends_like_an_uninterrupted_one(
    tiny_cohort, tiny_sample, tmp_path
):
    labels = tiny_sample / "labels" / "lungs"
    whole = finetune(tiny_cohort, labels, tmp_path / "whole", steps=6)
    list(train_run(whole))
    run = finetune(tiny_cohort, labels, tmp_path / "run", steps=6, log_every=1)
    for event in train_run(run):
        if isinstance(event, Step) and event.step == 3:
            run.request_stop()
    assert run.last_event().kind == "stopped"
    run.stop_file.unlink()
    list(train_run(run))
    mine, theirs = (load_segmenter(r.path)[0].state_dict() for r in (run, whole))
    assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
