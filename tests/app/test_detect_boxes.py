"""From a table of boxes to boxes in the pixels of a new file, and their scores."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.encoders.encoder_file import load_weights
from scanlearn.errors import BadRun, BadScan
from scanlearn.new_run import (
    finetuning_config,
    labels_for,
    new_finetuning,
    new_pretraining,
    pretraining_config,
)
from scanlearn.phantom.sample import write_sample
from scanlearn.pretraining.registry import method_named, method_of
from scanlearn.runs.events import Finished, Message
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.boxes import as_boxes, box_iou
from scanlearn.scans.read import read_scan
from scanlearn.scans.tables.finding_table import read_box_findings
from scanlearn.tasks.detection.card import load_slice_detector
from scanlearn.tasks.detection.scores import evaluate_detection
from scanlearn.tasks.registry import task_named, task_of
from scanlearn.tasks.shared.predict_scans import predict_scans
from scanlearn.worker import train_run

SMALL = {
    "side": 64,
    "crop": 64,
    "batch": 4,
    "validation": 0,
    "finding": "shadow",
    "trunk": {"architecture": "small", "width": 8},
}


def finetune(cohort, table, out, *, steps, start_from=None, **recipe):
    """Train boxes on a CPU; returns the run and its events."""
    config = finetuning_config(
        [cohort],
        task=task_named("detection"),
        preset_name="quick",
        start_from=start_from,
        changes={
            "recipe": SMALL | recipe,
            "engine": {
                "steps": steps,
                "device": "cpu",
                "precision": "no",
                "threads": 1,
            },
        },
    )
    run = new_finetuning(config, labels_for(task_of(config), config, table), out)
    return run, list(train_run(run))


@pytest.fixture(scope="module")
def detector(films, tmp_path_factory) -> RunFolder:
    out = tmp_path_factory.mktemp("boxes") / "2026-11-21_shadows"
    run, events = finetune(films / "cohort", films / "boxes.csv", out, steps=90)
    assert isinstance(events[-1], Finished), events[-1]
    told = [event.text for event in events if isinstance(event, Message)]
    assert any("7 labelled shadows in 8 scans of 8 patients" in t for t in told)
    return run


def test_boxes_are_told_in_pixels_of_a_file_of_any_size(detector, tmp_path):
    rng = np.random.default_rng(9)
    # Twice as large as the pictures it learned from, and as wide as these were high.
    pixels = rng.normal(95, 6, (192, 240))
    pixels[60:112, 130:180] += 90
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(tmp_path / "new.png")
    (summary,) = predict_scans(
        task_of(detector.config()), detector, tmp_path / "new.png", tmp_path / "out"
    )
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["new_findings.csv", "new_prediction.json"]
    found = read_box_findings(tmp_path / "out" / "new_findings.csv")
    about = json.loads(summary.read_text())
    assert (about["shape"], about["findings"]) == ("box", len(found))
    assert [one.score for one in found] == sorted(
        (f.score for f in found), reverse=True
    )
    truth = as_boxes([(129.5, 59.5, 50, 52)])
    assert box_iou(as_boxes([found[0].box]), truth)[0, 0] > 0.4
    assert {one.kind for one in found} == {"shadow"}


def test_an_evaluation_of_boxes(detector, films):
    found = evaluate_detection(
        detector, films / "boxes.csv", Cohort(films / "cohort"), lambda _: None
    )
    assert found.mean["cpm"].mean > 0.6
    assert found.mean["ap"] >= found.mean["ap at 0.5"] > 0.3
    assert found.classes["all shadows"]["n"] == 7
    assert len(found.cases) == 8
    said = " ".join(found.remarks)
    assert "within the shadow's box" in said
    assert "Trained on these patients" in said
    assert "film" not in json.dumps(found.to_dict())


def test_what_it_was_not_trained_on_is_refused(
    detector, tiny_cohort, tiny_sample, tmp_path
):
    scan = tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz"
    with pytest.raises(BadScan, match="This is a volume"):
        predict_scans(task_of(detector.config()), detector, scan, tmp_path)
    with pytest.raises(BadRun, match="looks at radiographs"):
        evaluate_detection(
            detector, tiny_sample / "nodules.csv", Cohort(tiny_cohort), lambda _: None
        )


def test_an_encoder_of_patches_is_no_start(films, pretraining, tmp_path):
    patches = pretraining("patches_for_boxes", minutes=0)
    list(train_run(patches))
    with pytest.raises(BadRun, match="single images need an encoder of slices"):
        finetune(
            films / "cohort",
            films / "boxes.csv",
            tmp_path / "run",
            steps=1,
            start_from=patches.path,
        )
    assert not (tmp_path / "run").exists()


def test_from_a_joint_pretraining_on_radiograph_phantoms(tmp_path):
    sample = write_sample(tmp_path / "sample", scans=4, kind="radiograph")
    config = PrepareConfig(radiograph_size=96, workers=0)
    prepare(sample / "scans", tmp_path / "cohort", config)
    settings = pretraining_config(
        [tmp_path / "cohort"],
        method=method_named("joint"),
        preset_name="quick",
        changes={"engine": {"steps": 0, "device": "cpu", "precision": "no"}},
    )
    joint = new_pretraining(method_of(settings), settings, tmp_path / "joint")
    list(train_run(joint))
    run, events = finetune(
        tmp_path / "cohort",
        sample / "boxes.csv",
        tmp_path / "run",
        steps=3,
        start_from=joint.path,
        encoder="frozen",
    )
    assert isinstance(events[-1], Finished), events[-1]
    network, card = load_slice_detector(run.path)
    assert (card.pretrained, card.radiograph_size) == ("joint", 96)
    # Kept as it was pre-trained, the trunk tells where it came from.
    start = load_weights(joint.checkpoints / "encoder.safetensors")
    for name, value in network.encoder.state_dict().items():
        assert value.equal(start[name]), name
    scan = sample / "scans" / "dicom" / "PHANTOM-0003.dcm"
    (summary,) = predict_scans(task_of(run.config()), run, scan, tmp_path / "out")
    rows, columns = read_scan(scan).grid.shape[1:]
    for one in read_box_findings(summary.with_name("PHANTOM-0003_findings.csv")):
        x, y, width, height = one.box
        assert -1 < x + width / 2 < columns
        assert -1 < y + height / 2 < rows
