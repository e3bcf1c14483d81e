"""A shared run opens elsewhere, and tells of no patient, file, user or machine."""

from __future__ import annotations

import json
import shutil
import socket
import zipfile
from pathlib import Path

import pydicom
import pytest
import torch
from safetensors.torch import save_file

from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.config.run import merge, parse_run_config
from scanlearn.errors import BadPlace, BadRun
from scanlearn.phantom.chest import make_chest
from scanlearn.phantom.dicom_out import write_dicom_series
from scanlearn.runs.events import Crashed, Finished, Message, Preview, Started
from scanlearn.runs.folder import EventLog, RunFolder
from scanlearn.sharing.known_secrets import Secrets
from scanlearn.sharing.share import share
from scanlearn.tasks.registry import task_named

MARKS = {
    "PatientName": "SURQX^GIVENQX",
    "PatientBirthDate": "19410607",
    "InstitutionName": "CLINICQX Nord",
    "AccessionNumber": "ACCQX55",
    "ReferringPhysicianName": "DOCTORQX",
}
SAID = "GIVENQX of CLINICQX, born 07.06.1941, ACCQX55, seen by doctorqx"
FRAGMENTS = ("surqx", "givenqx", "clinicqx", "accqx", "doctorqx", "1941", "folderqx")


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    """Return a cohort of one series whose folder and header tell whose it is."""
    folder = tmp_path_factory.mktemp("share")
    series = folder / "my FOLDERQX" / "SURQX"
    write_dicom_series(series, make_chest(3, 1, spacing_mm=(8, 5, 5)))
    for path in series.iterdir():
        image = pydicom.dcmread(path)
        for name, value in MARKS.items():
            setattr(image, name, value)
        image.save_as(path)
    cohort = folder / "FOLDERQX cohort"
    prepare(series, cohort, PrepareConfig(workers=0, spacing_mm=8.0))
    return cohort


@pytest.fixture(autouse=True)
def _machine(monkeypatch, tmp_path) -> None:
    """Be a machine and a user with names of their own."""
    monkeypatch.setattr(socket, "gethostname", lambda: "hq")
    monkeypatch.setenv("LOGNAME", "userqx")
    monkeypatch.setenv("HOME", str(tmp_path / "homeqx"))


@pytest.fixture
def make(cohort, tmp_path):
    """Return a function that writes a trained run whose story tells too much."""

    def run_of(**changes) -> RunFolder:
        data = task_named("segmentation").offer.preset("quick", {})
        start = str(tmp_path / "SURQX before")
        facts = {"kind": "finetune", "cohorts": [str(cohort)], "start_from": start}
        config = parse_run_config(merge(data, facts | changes))
        run = RunFolder.create(tmp_path / "SURQX run", config)
        log = EventLog(run)
        log.write(Started(steps=3))
        log.write(Message(text=f"{SAID}: {cohort}/scans/P-1.npy and /etc/my/host.txt"))
        log.write(Message(text="on hq for userqx"))
        log.write(Preview(step=1, file="SURQX.png"))
        log.write(Crashed(error=f"no {cohort}", details=f"Traceback in {Path.home()}"))
        log.write(Finished(step=3))
        log.close()
        run.claim({"device": "cpu", "cohorts": {cohort.name: "abc"}, "seed": 7})
        run.log.write_text(SAID)
        (run.inputs / "SURQX_labels.nii.gz").write_text(SAID)
        (run.previews / "SURQX.png").write_text(SAID)
        card = {"classes": [{"name": "lung"}], "pretrained": "SURQX before"}
        (run.checkpoints / "model.json").write_text(json.dumps(card))
        save_file({"w": torch.arange(4.0)}, run.checkpoints / "model.safetensors")
        (run.checkpoints / "locations.json").write_text(json.dumps({"scan": SAID}))
        return run

    return run_of


def unpacked(path: Path, to: Path) -> Path:
    with zipfile.ZipFile(path) as bundle:
        bundle.extractall(to)
    return to / path.stem


def test_nothing_identifying_is_in_the_bundle(make, tmp_path):
    found = share(make(), tmp_path / "given.zip", card=f"# Card\nTrained by {SAID}")
    assert found.unread == 0
    folder = unpacked(found.path, tmp_path / "there")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {str(path.relative_to(folder)) for path in files} == {
        *("README.md", "config.yaml", "events.jsonl", "training.json"),
        *("model_card.md", "checkpoints/model.json", "checkpoints/model.safetensors"),
    }
    machine = ("on hq", "userqx", "homeqx", str(tmp_path), "/etc/my")
    for path in files:
        text = path.read_bytes().decode("utf-8", "replace").casefold()
        for secret in (*FRAGMENTS, *machine):
            assert secret.casefold() not in text, f"{secret} in {path.name}"
    raw = found.path.read_bytes().lower()
    assert not any(fragment.encode() in raw for fragment in FRAGMENTS)
    assert json.loads((folder / "training.json").read_text())["seed"] == 7
    assert "pid" not in (folder / "training.json").read_text()


def test_the_bundle_is_a_run_with_relative_names(make, tmp_path):
    run = make()
    share(run, tmp_path / "given.zip")
    there = RunFolder(unpacked(tmp_path / "given.zip", tmp_path / "there"))
    config = there.config()
    assert config.cohorts == (Path("cohort-1"),)
    assert config.start_from == Path("earlier-run")
    assert config.recipe == run.config().recipe
    assert there.state() == "finished"
    assert (
        '"pretrained": "earlier-run"' in (there.checkpoints / "model.json").read_text()
    )
    texts = [event.text for event in there.events() if isinstance(event, Message)]
    assert "cohort-1/scans/P-1.npy and host.txt" in texts[0]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("nodule of SURQX", "what the header of a scan states"),
        ("born 7.6.1941", "what the header of a scan states"),
        ("clinicqx_1", "what the header of a scan states"),
        ("/home/me/masks/lung", "a path of this machine"),
        ("lungs on HQ", "the name of this machine"),
        ("of userqx", "the name of its user"),
    ],
)
def test_a_class_that_tells_is_refused_and_nothing_is_written(
    make, tmp_path, name, kind
):
    run = make(recipe={"classes": [{"value": 1, "name": name}]})
    with pytest.raises(BadRun, match=kind) as found:
        share(run, tmp_path / "given.zip")
    assert "recipe.classes.0.name" in str(found.value)
    assert name not in str(found.value)
    assert not list(tmp_path.glob("*.zip*"))


def test_a_name_in_the_header_of_weights_is_refused(make, tmp_path):
    run = make()
    weights = run.checkpoints / "model.safetensors"
    save_file({"w": torch.zeros(2)}, weights, metadata={"by": "Doctorqx"})
    with pytest.raises(BadRun, match=r"model\.safetensors holds what the header"):
        share(run, tmp_path / "given.zip")


def test_sources_that_are_gone_are_counted(make, cohort, tmp_path):
    run = make()
    copy = tmp_path / "copy"
    shutil.copytree(cohort, copy)
    table = copy / "private" / "sources.csv"
    table.write_text(table.read_text().replace("my FOLDERQX", "elsewhere"))
    settings = run.path / "config.yaml"
    settings.write_text(settings.read_text().replace(str(cohort), str(copy)))
    assert share(run, tmp_path / "given.zip").unread == 1


def test_no_model_and_no_zip_are_told(make, tmp_path):
    run = make()
    with pytest.raises(BadPlace, match="no name of a bundle"):
        share(run, tmp_path / "given.tar")
    shutil.rmtree(run.checkpoints)
    with pytest.raises(BadRun, match="no model to share"):
        share(run, tmp_path / "given.zip")


def test_words_that_all_runs_have_are_nobodys(make, cohort, tmp_path):
    """A source may be called as a setting is: *batch.nii.gz* is no patient."""
    run = make()
    copy = tmp_path / "copy"
    shutil.copytree(cohort, copy)
    with (copy / "private" / "sources.csv").open("a") as table:
        table.write("P-1,/data/batch.nii.gz,,\nP-2,/data/cosine.nii.gz,,\n")
    settings = run.path / "config.yaml"
    settings.write_text(settings.read_text().replace(str(cohort), str(copy)))
    share(run, tmp_path / "given.zip")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("see /home/jane/x y.txt", "see x y.txt"),
        (r"C:\Users\jane\a.nii: bad", "a.nii: bad"),
        (r"\\server\share\a.nii", "a.nii"),
        ("~/scans/a.nii", "a.nii"),
        (
            "3 mm/s, 1/255, and/or, https://a.b/c",
            "3 mm/s, 1/255, and/or, https://a.b/c",
        ),
        ("'/a/b'", "'b'"),
    ],
)
def test_paths_become_names_and_fractions_stay(text, left):
    assert Secrets({}, {}).without(text) == left


def test_many_secrets_are_looked_for_quickly(make, cohort, tmp_path):
    """Ten thousand files: more words, in a few seconds."""
    copy = tmp_path / "copy"
    shutil.copytree(cohort, copy)
    with (copy / "private" / "sources.csv").open("a") as table:
        for n in range(10_000):
            table.write(f"P-{n},/data/{n:07d}_{n:x}qz.nii.gz,,\n")
    run = make()
    settings = run.path / "config.yaml"
    settings.write_text(settings.read_text().replace(str(cohort), str(copy)))
    found = share(run, tmp_path / "given.zip")
    assert found.looked_for > 20_000
    assert found.unread == 10_000
