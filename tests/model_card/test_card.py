"""What a card says, held against the run's own files, read in other ways."""

from __future__ import annotations

import csv
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file

from scanlearn.model_card import references
from scanlearn.model_card.anonymous import anonymous
from scanlearn.model_card.markup import page, table
from scanlearn.model_card.training import training_facts
from scanlearn.runs.evaluations import keep_evaluation
from scanlearn.runs.events import Finished, Started, Step, Stopped
from scanlearn.runs.folder import EventLog, RunFolder
from scanlearn.tasks.shared.evaluation import Evaluation, summary_of

REPOSITORY = Path(__file__).resolve().parents[2]
FIXTURES = REPOSITORY / "tests" / "compatibility" / "fixtures" / "v0_1"

#: What people call their folders, and what must not get out.
SECRETS = ("Jane_Doe", "st_mary_films", "elsewhere", "secret_start")


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """Return runs of 0.1 whose folders, cohorts and starts have telling names."""
    here = tmp_path / "st_mary"
    shutil.copytree(FIXTURES, here)
    (here / "cohort").rename(here / "Jane_Doe")
    (here / "film_cohort").rename(here / "st_mary_films")
    (here / "runs" / "drasclr").rename(here / "runs" / "secret_start")
    names = {
        "__HERE__/cohort": "__HERE__/Jane_Doe",
        "__HERE__/film_cohort": "__HERE__/st_mary_films",
        "__HERE__/runs/drasclr": "__HERE__/runs/secret_start",
        '"film_cohort"': '"st_mary_films"',
        '"cohort"': '"Jane_Doe"',
        "film_cohort (": "st_mary_films (",
        "cohort (": "Jane_Doe (",
        "__HERE__": here.as_posix(),
    }
    for path in [*here.glob("runs/*/*.*"), *here.glob("*/private/*.csv")]:
        if path.is_file():
            text = path.read_text("utf-8")
            for old, new in names.items():
                text = text.replace(old, new)
            path.write_text(text, "utf-8")
    return here


@pytest.mark.parametrize(
    "name",
    [
        *("secret_start", "joint", "lungs", "lungs_by_slice", "nodules", "boxes"),
        *("emphysema", "findings", "fev1"),
    ],
)
def test_every_run_has_a_card_that_names_nobody(scanlearn, named, name):
    answer = scanlearn("card", named / "runs" / name, "--json")
    assert answer.status == 0, answer.err
    card = answer.document["card"]
    for heading in ("Methods", "Data", "Network and training", "Results", "References"):
        assert f"\n## {heading}\n" in card
    assert "Not for clinical use" in card
    assert all(paper in card for paper in references.METHODS.values())
    keys = [path.stem for path in named.glob("*/scans/*.json")]
    patients = [
        json.loads(p.read_text())["patient"] for p in named.glob("*/scans/*.json")
    ]
    for secret in (*SECRETS, *keys, *patients, str(named), "st_mary"):
        assert secret not in card


def test_scans_parameters_and_start_are_those_of_the_files(scanlearn, named):
    card = scanlearn("card", named / "runs" / "lungs").out
    with (named / "Jane_Doe" / "catalogue.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if not row["excluded"]]
    patients = len({row["patient"] for row in rows})
    assert f"| 1 | CT | {len(rows)} | {patients} |" in card
    weights = load_file(named / "runs" / "lungs" / "checkpoints" / "model.safetensors")
    count = sum(tensor.numel() for tensor in weights.values())
    assert f"| parameters | {count:,} |" in card
    assert "It began from a pre-training (drasclr)" in card
    assert "| seed | 0 |" in card


def test_what_is_no_longer_there_is_not_counted(scanlearn, named):
    shutil.rmtree(named / "Jane_Doe")
    shutil.rmtree(named / "runs" / "secret_start")
    card = scanlearn("card", named / "runs" / "lungs").out
    assert "no longer there: not counted" in card
    assert "can no longer be read" in card
    assert "It began from an earlier run that is no longer there." in card
    assert "patients." not in card.split("## Data")[0]


def test_a_model_fitted_at_once_had_no_optimiser(scanlearn, named):
    card = scanlearn("card", named / "runs" / "findings").out
    assert "none: fitted at once" in card
    assert "| all | AUC | 0.1 |" in card
    assert "adamw" not in card.split("## All settings")[0]


def test_kept_evaluations_are_told_with_intervals(scanlearn, named):
    scores = {"P-3ce101dfac": [0.5], "P-4f4766dada": [0.7, 0.9], "P-e65232e884": [0.9]}
    summary = summary_of(scores)
    assert summary is not None
    found = Evaluation(
        task="segmentation",
        run=str(named),
        mean={"dice": summary},
        classes={"lung": {"dice": summary, "hd95": 4.25}},
        cases=[{"scan": "P-3ce101dfac-0f6ee1", "dice": 0.5}],
        remarks=["P-3ce101dfac-0f6ee1 of Jane_Doe is small"],
    )
    run = RunFolder(named / "runs" / "lungs")
    kept = keep_evaluation(run, found.to_dict(), cohort="abc")
    assert 'P-3ce101dfac-0f6ee1", "dice' not in kept.read_text()
    card = scanlearn("card", run.path).out
    # By hand: mean of 0.5, 0.8, 0.9; Student's t of 2 degrees of freedom is 4.303.
    assert "| mean | dice | 0.733 [0.216, 1.25], n = 3 |" in card
    assert "| lung | hd95 | 4.25 |" in card
    assert "a scan of a cohort is small" in card
    methods = card.split("## Data")[0]
    assert "it reached dice 0.733 [0.216, 1.25], n = 3. a scan of a cohort" in methods


def test_pauses_between_workers_are_no_training_time(named):
    run = RunFolder(named / "runs" / "lungs")
    run.events_file.unlink()
    log = EventLog(run)
    log.write(Started(time=1_000, steps=10))
    log.write(Step(time=1_360, step=5, values={}))
    log.write(Stopped(time=1_720, step=5))
    log.write(Started(time=90_000, steps=10, step=5))
    log.write(Finished(time=93_600, step=10))
    log.close()
    facts = training_facts(run, run.config())
    assert facts.hours == pytest.approx(1.2)
    assert facts.time == "1.2 h"
    assert facts.dates == "1970-01-01 to 1970-01-02"


def test_imported_weights_have_their_licence(scanlearn, tmp_path):
    config = {
        "kind": "pretrain",
        "recipe": {"name": "joint"},
        "imported": "torchvision",
    }
    from scanlearn.config.run import parse_run_config

    run = RunFolder.create(tmp_path / "run", parse_run_config(config))
    assert "no trained model yet" in scanlearn("card", run.path).told()
    (run.checkpoints / "encoder.json").write_text('{"architecture": "slice-encoder"}')
    card = scanlearn("card", run.path).out
    assert "BSD 3-Clause licence of torchvision" in card
    assert "ImageNet: A large-scale" in card
    assert "| parameters | not noted |" in card
    assert "Training took" not in card


def test_the_page_holds_the_same_words_and_no_markup_of_others(scanlearn, named):
    class Text(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.tags: list[str] = []
            self.text = ""

        def handle_starttag(self, tag, attributes):
            self.tags.append(tag)

        def handle_data(self, data):
            self.text += data

    out = named / "card.html"
    answer = scanlearn("card", named / "runs" / "lungs", "--out", out)
    assert answer.status == 0
    assert answer.out.strip() == str(out)
    seen = Text()
    seen.feed(out.read_text("utf-8"))
    card = scanlearn("card", named / "runs" / "lungs").out
    lines = [line for line in card.splitlines() if line.startswith("| ")]
    heads = sum(line.startswith("| --- ") for line in lines)
    assert seen.tags.count("tr") == len(lines) - heads
    assert "Model card: Segmentation" in seen.text
    seen = Text()
    seen.feed(page(table(("class",), [("<script>alert(1)</script> | b",)]), "<b>"))
    assert "script" not in seen.tags
    assert "<script>alert(1)</script> | b" in seen.text
    bad = scanlearn("card", named / "runs" / "lungs", "--out", named / "card.pdf")
    assert bad.status == 2
    assert ".md or .html" in bad.told()


def test_papers_are_those_of_the_citation_file():
    known = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text("utf-8"))
    for one, text in zip(known["references"], references.METHODS.values(), strict=True):
        assert one["title"].lower() in text.lower()
        assert one["doi"] in text
        for author in one["authors"]:
            assert author["family-names"] in text


def test_words_lose_names_paths_and_keys(named):
    config = RunFolder(named / "runs" / "lungs").config()
    said = anonymous("Jane_Doe: P-3ce101dfac lies in /data/x.nii.gz, a.nii too", config)
    assert said == "a cohort: a scan lies in a file a file too"
