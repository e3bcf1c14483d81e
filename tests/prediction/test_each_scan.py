"""Many scans: what is whole stays where a prediction goes on."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from scanlearn.config.run import parse_run_config
from scanlearn.prediction.each_scan import Request, each_scan
from scanlearn.prediction.result_files import kind_of_source, with_row, write_summary
from scanlearn.prediction.summary import read_predictions
from scanlearn.runs.events import Message
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.tables.results import write_results

NAMES = ["a", "b", "c"]


class Means:
    """Predicts the mean of a scan, and breaks off before a scan of its choice."""

    def __init__(self, run, breaks_at=99):
        self.run, self.breaks_at, self.seen, self.told = run, breaks_at, [], []

    def on(self, request):
        return each_scan(self.run, request, self.predict, self.save, self.told.append)

    def predict(self, scan, *, progress):
        if len(self.seen) == self.breaks_at:
            raise KeyboardInterrupt
        progress(1, 1)
        return float(np.asarray(scan.voxels).mean())

    def save(self, found, scan, entry, to):
        self.seen.append(to.name)
        source = kind_of_source(entry)
        facts = {"mean": found}
        return write_summary(
            to, task="means", source=source, grid=scan.grid, tables=[], facts=facts
        )


def run_in(folder):
    config = {
        "kind": "pretrain",
        "recipe": {"name": "drasclr"},
        "cohorts": [str(folder)],
    }
    return RunFolder.create(folder, parse_run_config(config))


@pytest.fixture
def request_of(tmp_path):
    folder = tmp_path / "scans"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in NAMES:
        voxels = rng.normal(size=(6, 7, 8)).astype(np.float32)
        nib.save(nib.Nifti1Image(voxels, np.eye(4)), folder / f"{name}.nii.gz")
    return Request(folder, tmp_path / "out", resume=True)


def test_a_prediction_goes_on_where_it_stopped(request_of, tmp_path):
    run = run_in(tmp_path / "run")
    stopped = Means(run, breaks_at=2)
    with pytest.raises(KeyboardInterrupt):
        stopped.on(request_of)
    assert stopped.seen == NAMES[:2]
    again = Means(run)
    summaries = again.on(request_of)
    assert again.seen == ["c"]
    assert [one.name for one in summaries] == [f"{n}_prediction.json" for n in NAMES]
    assert len(read_predictions(request_of.out)) == 3
    texts = [event.text for event in again.told if isinstance(event, Message)]
    assert texts == ["Scan 1 of 3", "Scan 2 of 3", "Scan 3 of 3"]


@pytest.mark.parametrize(
    "change", [{"views": 5}, {"covariates": "age=3"}, {"resume": False}, {}]
)
def test_what_was_asked_otherwise_is_made_anew(request_of, tmp_path, change):
    run = run_in(tmp_path / "run")
    Means(run).on(request_of)
    other = Means(run if change else run_in(tmp_path / "another"))
    other.on(replace(request_of, **change))
    assert other.seen == NAMES


def test_a_damaged_summary_does_not_count(request_of, tmp_path):
    run = run_in(tmp_path / "run")
    first, *_ = Means(run).on(request_of)
    first.write_text("{")
    again = Means(run)
    again.on(request_of)
    assert again.seen == ["a"]


def test_rows_of_an_earlier_table_stay(tmp_path):
    table = tmp_path / "predictions.csv"
    write_results(table, ["scan", "risk"], [{"scan": "a", "risk": 1.5}])
    rows = with_row([], {"scan": "b", "risk": 2.0}, earlier=table)
    assert [row["scan"] for row in rows] == ["a", "b"]
    rows = with_row(rows, {"scan": "a", "risk": 3.0}, earlier=table)
    assert [(row["scan"], row["risk"]) for row in rows] == [("b", 2.0), ("a", 3.0)]
    other = {"scan": "b", "label": "x"}
    assert with_row([], other, earlier=table) == [other]
    assert with_row([], other, earlier=None) == [other]
