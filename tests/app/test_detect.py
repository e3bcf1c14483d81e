"""From a table of nodules to findings in patient millimetres, and their scores."""

from __future__ import annotations

import json

import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.errors import BadScan
from scanlearn.metrics.froc import RATES
from scanlearn.new_run import finetuning_config, labels_for, new_finetuning
from scanlearn.runs.events import Finished, Message, Step
from scanlearn.scans.read import read_scan
from scanlearn.scans.tables.finding_table import read_findings
from scanlearn.tasks.detection.scores import evaluate_detection
from scanlearn.tasks.registry import task_named, task_of
from scanlearn.tasks.shared.predict_scans import predict_scans
from scanlearn.worker import train_run


@pytest.fixture(scope="module")
def encoder_run(pretraining):
    run = pretraining("encoder_for_detection", minutes=0)
    list(train_run(run))
    return run


@pytest.fixture(scope="module")
def detector(tiny_cohort, tiny_sample, encoder_run, tmp_path_factory):
    """Return a fine-tuned run of seconds, from a pre-trained encoder."""
    config = finetuning_config(
        [tiny_cohort],
        task=task_named("detection"),
        preset_name="quick",
        start_from=encoder_run.path,
        changes={
            "recipe": {"batch": 2, "least_score": 0.001, "encoder": "full"},
            "engine": {
                "steps": 12,
                "device": "cpu",
                "precision": "no",
                "threads": 1,
                "log_every": 3,
            },
        },
    )
    labels = labels_for(task_of(config), config, tiny_sample / "nodules.csv")
    out = tmp_path_factory.mktemp("detector") / "2026-11-21_nodules"
    events = list(train_run(new_finetuning(config, labels, out)))
    assert isinstance(events[-1], Finished)
    told = [event.text for event in events if isinstance(event, Message)]
    assert any("labelled nodules in 4 scans" in text for text in told)
    losses = [event.values["loss"] for event in events if isinstance(event, Step)]
    assert losses[-1] < losses[0]
    return new_run(out)


def new_run(path):
    from scanlearn.runs.folder import RunFolder

    return RunFolder(path)


def test_findings_are_a_table_within_the_patient(detector, tiny_sample, tmp_path):
    scan = tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz"
    (summary,) = predict_scans(task_of(detector.config()), detector, scan, tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    ours = ("findings.csv", "lungs.npz", "prediction.json")
    assert names == [f"PHANTOM-0002_{ending}" for ending in ours]
    about = json.loads(summary.read_text())
    found = read_findings(tmp_path / names[0])
    assert about["task"] == "detection"
    assert about["findings"] == len(found) > 0
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    low, high = read_scan(scan).grid.bounds_mm()
    centres = np.array([one.centre for one in found])
    assert (centres > low - 20).all()
    assert (centres < high + 20).all()
    assert {one.kind for one in found} == {"nodule"}


def test_a_table_has_no_dicom_segmentation(detector, tiny_sample, tmp_path):
    scan = tiny_sample / "scans" / "dicom" / "PHANTOM-0001"
    with pytest.raises(BadScan, match="table of findings"):
        predict_scans(
            task_of(detector.config()), detector, scan, tmp_path, extras=["dicom-seg"]
        )


def test_an_evaluation_says_what_its_scores_rest_on(detector, tiny_cohort, tiny_sample):
    found = evaluate_detection(
        detector, tiny_sample / "nodules.csv", Cohort(tiny_cohort), lambda _: None
    )
    assert 0 <= found.mean["cpm"].mean <= 1
    rows = found.classes
    every = rows.pop("all nodules")
    assert sum(row["n"] for row in rows.values()) == every["n"]
    for rate in RATES:
        weighted = sum(row["n"] * row[f"{rate:g}/scan"] for row in rows.values())
        assert weighted / every["n"] == pytest.approx(every[f"{rate:g}/scan"])
    assert sum(case["nodules"] for case in found.cases) == every["n"]
    said = " ".join(found.remarks)
    assert "Trained on these patients" in said
    assert "Only 4 patients" in said
    json.dumps(found.to_dict())
    assert "PHANTOM" not in json.dumps(found.to_dict())
