"""Outcomes from a table to predictions of new scans, all real, in seconds."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.errors import BadLabels, BadRun
from scanlearn.new_run import finetuning_config, labels_for, new_finetuning
from scanlearn.prediction.summary import read_prediction
from scanlearn.runs.events import Epoch, Event, Finished, Message
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan
from scanlearn.tasks.outcome.card import load_outcome
from scanlearn.tasks.outcome.scores import evaluate_outcome
from scanlearn.tasks.registry import task_named, task_of
from scanlearn.tasks.shared.predict_scans import predict_scans
from scanlearn.worker import train_run


def learn(cohort, labels, out, **recipe):
    config = finetuning_config(
        [cohort],
        task=task_named("outcome"),
        preset_name="quick",
        start_from=None,
        changes={"recipe": recipe, "engine": {"device": "cpu", "precision": "no"}},
    )
    return new_finetuning(config, labels_for(task_of(config), config, labels), out)


@pytest.fixture(scope="module")
def lung_function(tiny_cohort, tiny_sample, tmp_path_factory):
    out = tmp_path_factory.mktemp("outcome") / "fev1"
    table = tiny_sample / "outcomes.csv"
    run = learn(tiny_cohort, table, out, target="fev1_percent", covariates=["severity"])
    events = list(train_run(run))
    assert isinstance(events[-1], Finished), events[-1]
    (epoch,) = [event for event in events if isinstance(event, Epoch)]
    assert {"R2", "R2, LAA-950", "R2, covariates"} <= set(epoch.values)
    return run


def test_new_scans_get_a_row_each(lung_function, tiny_sample, tmp_path):
    summaries = predict_scans(
        task_of(lung_function.config()),
        lung_function,
        tiny_sample / "scans" / "nifti",
        tmp_path,
    )
    with (tmp_path / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["scan"] for row in rows] == ["PHANTOM-0002", "PHANTOM-0004"]
    found = read_prediction(summaries[0])
    assert found.task == "outcome"
    assert found.labels is None
    assert "no label map" in found.why_not("nifti")
    value = found.facts["outcome"]["fev1_percent"]
    assert float(rows[0]["fev1_percent"]) == value
    assert 0 < value < 150
    assert rows[0]["not_for_clinical_use"] == "yes"


def test_covariates_are_told_by_a_table_or_for_all(
    lung_function, tiny_sample, tiny_cohort, tmp_path
):
    scans = tiny_sample / "scans" / "nifti"
    table = tmp_path / "patients.csv"
    table.write_text(
        f"path,severity\n{scans / 'PHANTOM-0002.nii.gz'},3\n"
        f"{scans / 'PHANTOM-0004.nii.gz'},\n"
    )
    told: list[Event] = []
    predict_scans(
        task_of(lung_function.config()),
        lung_function,
        scans,
        tmp_path / "t",
        covariates=str(table),
        tell=told.append,
    )
    # A scan without its number is left out, and named.
    with (tmp_path / "t" / "predictions.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["scan"], row["severity"]) == ("PHANTOM-0002", "3.0")
    said = " ".join(event.text for event in told if isinstance(event, Message))
    assert "PHANTOM-0004" in said
    assert "no whole row" in said
    # By hand: the model of both on the vector and the number.
    describer, models, _card = load_outcome(lung_function.path)
    (entry,) = find_scans(scans / "PHANTOM-0002.nii.gz")
    vector = describer.whole(describer.from_memory(read_scan(entry)))
    both = models["scans and covariates"]
    expected = both.scores(np.append(vector, 3.0)[None])[0, 0]
    assert float(row["fev1_percent"]) == pytest.approx(expected, abs=1e-3)
    predict_scans(
        task_of(lung_function.config()),
        lung_function,
        scans,
        tmp_path / "a",
        covariates="severity=3",
    )
    with (tmp_path / "a" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2
    assert rows[0]["fev1_percent"] == row["fev1_percent"]
    # Scans of a cohort have keys for names; the table names their sources.
    cohort = Cohort(tiny_cohort)
    outcomes = tiny_sample / "outcomes.csv"
    predict_scans(
        task_of(lung_function.config()),
        lung_function,
        tiny_cohort,
        tmp_path / "c",
        covariates=str(outcomes),
    )
    with (tmp_path / "c" / "predictions.csv").open() as file:
        assert {row["scan"] for row in csv.DictReader(file)} == set(cohort.keys())


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("age=3", "covariates given are age"),
        ("severity=bad", "is 'bad'"),
        ("severity=nan", "is 'nan'"),
        ("nothing.csv", "does not exist"),
    ],
)
def test_covariates_that_do_not_fit_are_refused(
    lung_function, tiny_sample, tmp_path, said, why
):
    scan = tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz"
    with pytest.raises(BadLabels, match=why):
        predict_scans(
            task_of(lung_function.config()),
            lung_function,
            scan,
            tmp_path / "out",
            covariates=said,
        )
    assert not list((tmp_path / "out").glob("*"))


def test_a_model_without_covariates_is_told_none(tiny_cohort, tiny_sample, tmp_path):
    run = learn(
        tiny_cohort, tiny_sample / "outcomes.csv", tmp_path / "r", target="severity"
    )
    assert isinstance(list(train_run(run))[-1], Finished)
    scan = tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz"
    with pytest.raises(BadRun, match="learned without covariates"):
        predict_scans(
            task_of(run.config()), run, scan, tmp_path / "out", covariates="age=3"
        )


def test_patients_trained_on_are_scored_by_folds(
    lung_function, tiny_cohort, tiny_sample
):
    table, cohort = tiny_sample / "outcomes.csv", Cohort(tiny_cohort)
    found = evaluate_outcome(lung_function, table, cohort, lambda event: None)
    _describer, models, card = load_outcome(lung_function.path)
    assert set(models) == {"scans", "scans and covariates"}
    assert found.mean == card.held_out["scans"]
    assert any("cross-validation" in remark for remark in found.remarks)
    assert "Only 4 patients" in found.remarks[0]


def test_patients_kept_for_testing_are_scored_with_an_interval(
    tiny_cohort, tiny_sample, tmp_path
):
    with (tiny_sample / "outcomes.csv").open() as file:
        rows = list(csv.DictReader(file))
    folder = tiny_sample
    table = tmp_path / "split.csv"
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "patient", "fev1_percent"])
        for row in rows:
            cells = [folder / row["path"], row["patient"], row["fev1_percent"]]
            writer.writerow(cells)
    run = learn(tiny_cohort, table, tmp_path / "run")
    inputs = json.loads((run.inputs / "outcomes.json").read_text())
    # As a table with a column split would: one patient is kept out.
    inputs["patients"][0]["split"] = "test"
    inputs["patients"].append(inputs["patients"][1] | {"patient": "P-0"})
    (run.inputs / "outcomes.json").write_text(json.dumps(inputs))
    assert isinstance(list(train_run(run))[-1], Finished)
    found = evaluate_outcome(run, table, Cohort(tiny_cohort), lambda event: None)
    assert [case["patient"] for case in found.cases] == [
        inputs["patients"][0]["patient"]
    ]
    assert found.mean["MAE"].n == 1
    assert "R2" not in found.mean
    assert any("3 patients were trained on" in remark for remark in found.remarks)
