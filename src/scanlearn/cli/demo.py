"""The whole path on the sample cohort, as a newcomer would walk it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from scanlearn.cli.output import console, print_text, telling
from scanlearn.cli.watching import launch_and_follow
from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadConfig
from scanlearn.metrics.overlap import dice
from scanlearn.new_run import (
    finetuning_config,
    new_finetuning,
    new_pretraining,
    pretraining_config,
)
from scanlearn.phantom.sample import write_sample
from scanlearn.pretraining.registry import method_named
from scanlearn.runs.events import Health, Step
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.scans.formats import stem_of
from scanlearn.scans.labels.read_labels import read_label_map
from scanlearn.tasks.registry import task_named, task_of
from scanlearn.tasks.shared.label_maps import collect_labels

#: Patients made; the last one is only predicted on, never trained on.
_PATIENTS = 8

#: Scans that are painted, and slices painted on each.
_PAINTED_SCANS, _PAINTED_SLICES = 3, 5

#: At 2 mm everything takes minutes on a CPU.
_SPACING_MM = 2.0

_PRETRAIN_STEPS, _FINETUNE_STEPS = 160, 200


@dataclass
class _Story:
    """What happened, for the report."""

    folder: Path
    seconds: dict[str, float] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @contextmanager
    def chapter(self, title: str) -> Iterator[None]:
        console.rule(title, align="left")
        begun = time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - begun


def register(application: typer.Typer) -> None:
    """Add the command."""
    application.command()(demo)


def demo(
    out: Annotated[
        Path, typer.Option(help="New folder for all that the demo writes.")
    ] = Path("demo"),
    window: Annotated[
        bool, typer.Option(help="End in a napari window where there is a display.")
    ] = True,
) -> None:
    """Walk the whole path on the sample cohort, in minutes, on a CPU.

    Makes phantoms, prepares them, pre-trains without labels, fine-tunes with a few
    painted slices, predicts on a scan nobody painted, and shows it in napari; without
    a display it ends in DIR/overview.png. What it did is told in DIR/report.md.

    Example: scanlearn demo --out demo
    """
    out = out.expanduser().absolute()
    _make_room(out)
    story = _Story(out)
    with story.chapter("Sample cohort"):
        _sample(out / "sample")
    with story.chapter("Prepare"):
        prepare(
            out / "sample" / "scans",
            out / "cohort",
            PrepareConfig(spacing_mm=_SPACING_MM),
        )
    with story.chapter("Pre-train without labels"):
        pretrained = _pretrain(out)
    with story.chapter("Paint a few slices, fine-tune"):
        painted = _paint(out / "sample", out / "painted")
        model = _finetune(out, pretrained, painted)
    with story.chapter("Predict"):
        target = _scans(out / "sample")[-1]
        summary = _predict(model, target, out / "predictions")
    truth = _truth(out / "sample", target)
    scores = _scores(truth, summary)
    with story.chapter("Show"):
        _show(target, truth, summary, out / "overview.png", window=window)
    _report(story, pretrained, target, scores)
    print_text(f"{out / 'report.md'}")


def _make_room(out: Path) -> None:
    """Take away an earlier demo, but never anything else."""
    if not out.exists():
        return
    if any(out.iterdir()) and not (out / "sample").is_dir():
        raise BadConfig(
            f"{out} has files that are not the demo's",
            expected="a new folder",
            next_step="Name another one with --out",
        )
    shutil.rmtree(out)


def _sample(folder: Path) -> None:
    with telling("making phantoms") as tell:
        write_sample(
            folder,
            scans=_PATIENTS,
            progress=lambda done, total: tell(
                Step(step=done, values={"total": float(total)})
            ),
        )


def _pretrain(out: Path) -> RunFolder:
    method = method_named("drasclr")
    config = pretraining_config(
        [out / "cohort"],
        method=method,
        preset_name="quick",
        changes={"engine": {"steps": _PRETRAIN_STEPS}},
    )
    run = new_pretraining(method, config, out / "runs" / "drasclr")
    launch_and_follow(run)
    return run


def _finetune(out: Path, pretrained: RunFolder, painted: Path) -> RunFolder:
    config = finetuning_config(
        [out / "cohort"],
        task=task_named("segmentation"),
        preset_name="quick",
        start_from=pretrained.path,
        changes={"engine": {"steps": _FINETUNE_STEPS}},
    )
    labels = collect_labels(painted, Cohort(out / "cohort"), labelling="slices")
    run = new_finetuning(config, labels, out / "runs" / "lungs")
    launch_and_follow(run)
    return run


def _scans(sample: Path) -> list[Path]:
    """Return the sources in order of patient: DICOM folders and NIfTI files."""
    found = [*sample.glob("scans/dicom/*"), *sample.glob("scans/nifti/*.nii.gz")]
    return sorted(found, key=lambda path: path.name.split(".")[0])


def _truth(sample: Path, scan: Path) -> Path:
    stem = stem_of(scan)
    return sample / "labels" / "lungs" / f"{stem}_labels.nii.gz"


def _paint(sample: Path, folder: Path) -> Path:
    """Keep a few slices of the ground truth, as a user would paint them."""
    for scan in _scans(sample)[:_PAINTED_SCANS]:
        truth, grid = read_label_map(_truth(sample, scan))
        inside = np.flatnonzero(truth.any(axis=(1, 2)))
        # From a little below the lungs' top to a little above their base.
        picks = np.linspace(inside[0], inside[-1], _PAINTED_SLICES + 2)[1:-1]
        painted = np.zeros_like(truth)
        painted[picks.astype(int)] = truth[picks.astype(int)]
        write_nifti(folder / _truth(sample, scan).name, painted, grid)
    names = {"1": "right lung", "2": "left lung"}
    (folder / "classes.json").write_text(json.dumps(names), encoding="utf-8")
    return folder


def _predict(model: RunFolder, target: Path, out: Path) -> Path:
    from scanlearn.tasks.shared.predict_scans import predict_scans

    with telling("predicting") as tell:
        task = task_of(model.config())
        return predict_scans(task, model, target, out, tell=tell)[0]


def _scores(truth_file: Path, summary: Path) -> dict[str, float]:
    labels = summary.with_name(
        summary.name.replace("_prediction.json", "_labels.nii.gz")
    )
    guess, grid = read_label_map(labels)
    truth, _ = read_label_map(truth_file, like=grid)
    names = {1: "right lung", 2: "left lung"}
    return {name: dice(truth == value, guess == value) for value, name in names.items()}


def _show(
    scan: Path, truth: Path, summary: Path, picture: Path, *, window: bool
) -> None:
    """Show the result in napari: in a window, or as a picture without a display."""
    command = [
        sys.executable, "-m", "scanlearn.gui.show", str(scan),
        "--prediction", str(summary), "--truth", str(truth),
    ]  # fmt: skip
    has_display = sys.platform != "linux" or bool(
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    )
    subprocess.run(
        [*_display(has_display), *command, "--picture", str(picture)], check=True
    )
    console.print(f"picture {picture}", markup=False, soft_wrap=True)
    if has_display and window:
        console.print("opening napari; close its window to go on")
        subprocess.run(command, check=True)


def _display(has_display: bool) -> list[str]:
    if has_display:
        return []
    if shutil.which("xvfb-run") is None:
        raise BadConfig(
            "There is no display, and xvfb-run is not installed",
            next_step="Install it: sudo apt-get install xvfb xauth",
        )
    return ["xvfb-run", "-a", "-s", "-screen 0 1600x1000x24"]


def _report(
    story: _Story, pretrained: RunFolder, target: Path, scores: dict[str, float]
) -> None:
    health = [e for e in pretrained.events() if isinstance(e, Health)]
    lines = [
        "# The demo, step by step",
        "",
        f"{_PATIENTS} chest-CT phantoms were made, prepared at {_SPACING_MM:g} mm, and "
        f"an encoder was pre-trained on them for {_PRETRAIN_STEPS} steps without "
        f"labels. {_PAINTED_SLICES} slices of {_PAINTED_SCANS} scans were painted, a "
        f"U-Net on that encoder was fine-tuned for {_FINETUNE_STEPS} steps, and "
        f"{target.name} was segmented, which nobody had painted.",
        "",
        "| step | seconds |",
        "|---|---|",
        *(f"| {title} | {seconds:.0f} |" for title, seconds in story.seconds.items()),
        f"| in all | {sum(story.seconds.values()):.0f} |",
        "",
        f"Pre-training: {health[-1].sentence}" if health else "",
        "",
        "| class | Dice with the ground truth (n = 1 scan) |",
        "|---|---|",
        *(f"| {name} | {score:.3f} |" for name, score in scores.items()),
        "",
        "![Image, ground truth and prediction](overview.png)",
        "",
        "A sample of phantoms shows that everything works, not how well it works on "
        "patients. Not for clinical use.",
        "",
    ]
    (story.folder / "report.md").write_text("\n".join(lines), encoding="utf-8")
