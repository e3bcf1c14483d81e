"""Every command of the terminal answers: what the lowest versions allowed must pass."""

from __future__ import annotations

import zipfile

import nibabel as nib
import pytest

from scanlearn import __version__
from scanlearn.cli import application

COMMANDS = sorted(
    command.name or command.callback.__name__.replace("_", "-")
    for command in application.registered_commands
)
TRAINING = (
    *("--preset", "quick", "-s", "spacing_mm=null", "-s", "device=cpu"),
    *("-s", "precision=no", "-s", "threads=1", "-s", "batch=2"),
)
DRASCLR = (
    *("-s", "landmarks.at_most=6", "-s", "landmarks.patch_mm=64"),
    *("-s", "encoder.width=1", "-s", "encoder.dim=4", "-s", "encoder.experts=1"),
)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_explains_itself(scanlearn, name):
    answer = scanlearn(name, "--help")
    assert answer.status == 0, answer.err
    assert "Example: scanlearn" in " ".join(answer.out.split())


def test_the_version_is_told(scanlearn):
    assert scanlearn("--version").out == f"napari-scanlearn {__version__}\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("every_command")


# In their order: each works on what the ones before have written.
STORY = {
    "sample": ("{here}/sample", "--scans", "2"),
    "info": ("{here}/sample/scans", "--json"),
    "check": ("{here}/sample/scans", "--json"),
    "convert": ("{scan}", "{here}/scan.ome.zarr"),
    "prepare": ("{here}/sample/scans", "{here}/cohort", "--spacing", "12"),
    "export-cohort": ("{here}/cohort", "{here}/zarr", "--json"),
    "pretrain": (
        "{here}/cohort",
        *TRAINING,
        *DRASCLR,
        "-s",
        "steps=3",
        "--out",
        "{pre}",
    ),
    "embed": ("{pre}", "{here}/cohort", "--out", "{here}/vectors.npz"),
    "landmarks": ("{pre}", "{scan}", "--out", "{here}/landmarks"),
    "finetune": (
        *("{here}/cohort", "--task", "segmentation", "--from", "{pre}", *TRAINING),
        *("--labels", "{here}/sample/labels/lungs", "-s", "width=1", "-s", "steps=3"),
        *("--out", "{run}"),
    ),
    "predict": ("{run}", "{scan}", "--out", "{here}/out"),
    "export": (
        *("{here}/out/PHANTOM-0001_prediction.json", "{scan}"),
        *("--out", "{here}/exported"),
    ),
    "evaluate": ("{run}", "--labels", "{here}/sample/labels/lungs", "--json"),
    "suggest": ("{run}", "{here}/cohort", "--json"),
    "runs": ("{here}/runs", "--json"),
    "share": ("{run}", "{here}/given.zip", "--json"),
    "device": ("--json",),
}


@pytest.mark.parametrize("name", STORY)
def test_a_command_does_its_work(scanlearn, place, name):
    names = {
        "here": place,
        "scan": place / "sample" / "scans" / "dicom" / "PHANTOM-0001",
        "pre": place / "runs" / "pretrained",
        "run": place / "runs" / "lungs",
    }
    answer = scanlearn(name, *(word.format(**names) for word in STORY[name]))
    assert answer.status == 0, answer.err


def test_a_shared_run_predicts_elsewhere(scanlearn, place, tmp_path):
    with zipfile.ZipFile(place / "given.zip") as bundle:
        bundle.extractall(tmp_path)
    assert "## " in (tmp_path / "given" / "model_card.md").read_text()
    scan = place / "sample" / "scans" / "dicom" / "PHANTOM-0001"
    for run, out in ((tmp_path / "given", "there"), (place / "runs" / "lungs", "here")):
        answer = scanlearn("predict", run, scan, "--out", tmp_path / out)
        assert answer.status == 0, answer.err
    name = "PHANTOM-0001_labels.nii.gz"
    maps = [nib.load(tmp_path / out / name).get_fdata() for out in ("there", "here")]
    assert (maps[0] == maps[1]).all()
    (row,) = scanlearn("runs", tmp_path, "--json").document
    assert row["state"] == "finished"
