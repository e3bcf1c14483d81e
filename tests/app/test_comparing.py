"""A comparison whole: both arms really trained, tested on others, and continued."""

from __future__ import annotations

import csv
import json

import pytest

from scanlearn.cli import main
from scanlearn.comparison.study import Comparison
from scanlearn.config.comparison import parse_comparison
from scanlearn.encoders.encoder_file import load_encoder, read_card
from scanlearn.errors import BadLabels, BadRun
from scanlearn.new_run import finetuning_config, labels_for, new_finetuning
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.registry import task_named, task_of
from scanlearn.tasks.shared.suggestion import suggest
from scanlearn.worker import train_run

SMALL = {
    "recipe": {"batch": 2, "tile": 32, "optimiser": {"learning_rate": 0.01}},
    "engine": {"steps": 3, "device": "cpu", "precision": "no", "threads": 1},
}


@pytest.fixture(scope="module")
def encoder_run(pretraining):
    run = pretraining("asked about", minutes=0)
    list(train_run(run))
    return run


@pytest.fixture(scope="module")
def settings(tiny_cohort, encoder_run):
    return {
        "task": "segmentation",
        "preset": "quick",
        "cohort": tiny_cohort,
        "start_from": encoder_run.path,
        "budgets": (2,),
        "repeats": 2,
        "changes": SMALL,
    }


def test_a_comparison_goes_on_where_it_was_and_its_arms_differ_in_weights_only(
    settings, tiny_sample, tmp_path, monkeypatch
):
    labels, out = tiny_sample / "labels" / "lungs", tmp_path / "comparison"
    config = parse_comparison(settings)
    made = []

    def interrupted(*arguments):
        if len(made) == 3:
            raise KeyboardInterrupt
        made.append(arguments)
        return new_finetuning(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("scanlearn.comparison.study.new_finetuning", interrupted)
        with pytest.raises(KeyboardInterrupt):
            Comparison.create(out, task_named(config.task), config, labels).run(
                lambda event: None
            )
    first = json.loads((out / "verdict.json").read_text())
    assert first["repeats"] == 1
    with (out / "scores.csv").open(newline="") as file:
        before = list(csv.DictReader(file))
    assert len(before) == 3

    told = []
    comparison = Comparison.create(out, task_named(config.task), config, labels)
    verdict = comparison.run(told.append)
    assert (told[-1].step, told[-1].values["total"]) == (4, 4.0)
    with (out / "scores.csv").open(newline="") as file:
        after = list(csv.DictReader(file))
    assert after[:3] == before
    assert [point.budget for point in verdict.points] == [2]
    for point in verdict.points:
        mine = [
            float(row["score"])
            for row in after
            if row["arm"] == "scratch" and row["budget"] == str(point.budget)
        ]
        assert point.scratch.mean == pytest.approx(sum(mine) / 2)
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")

    for repeat in range(2):
        sides = [
            RunFolder(out / "trainings" / f"{arm}_02_repeat_{repeat}")
            for arm in ("pretrained", "scratch")
        ]
        one, other = (side.config() for side in sides)
        assert one.model_copy(update={"start_from": other.start_from}) == other
        patients = [json.loads((s.inputs / "classes.json").read_text()) for s in sides]
        assert patients[0]["scans"] == patients[1]["scans"]
        trained = {scan["patient"] for scan in patients[0]["scans"].values()}
        tests = json.loads((out / f"tests/repeat_{repeat}/classes.json").read_text())
        assert len(trained) == 2
        assert not trained & {scan["patient"] for scan in tests["scans"].values()}
        assert not (sides[0].checkpoints / "last").exists()

    twin, card = load_encoder(out / "untrained" / "repeat_0")
    asked, original = load_encoder(config.start_from)
    assert (card.trained, original.trained) == (False, True)
    assert card.model_copy(update={"step": original.step, "trained": True}) == original
    weights = {name: x.shape for name, x in twin.state_dict().items()}
    assert weights == {name: x.shape for name, x in asked.state_dict().items()}
    other, _ = load_encoder(out / "untrained" / "repeat_1")
    first_of = [next(net.parameters()).flatten()[0].item() for net in (twin, other)]
    assert first_of[0] != first_of[1]
    assert read_card(out / "untrained" / "repeat_0").atlas == original.atlas

    changed = config.model_copy(update={"repeats": 3})
    with pytest.raises(BadRun, match="other settings"):
        Comparison.create(out, task_named(changed.task), changed, labels)


@pytest.mark.parametrize(
    ("task", "labels", "metric", "recipe"),
    [
        ("texture", "emphysema_points.csv", "balanced accuracy", {}),
        ("detection", "nodules.csv", "cpm", {"batch": 2, "tile": 32}),
    ],
)
def test_points_and_nodules_are_compared_too(
    settings, tiny_sample, tmp_path, task, labels, metric, recipe
):
    """With one patient some class has no label, and it is judged all the same."""
    changes = {"recipe": recipe, "engine": SMALL["engine"]}
    asked = {"task": task, "budgets": (1,), "repeats": 1, "test": 0.75}
    config = parse_comparison(settings | asked | {"changes": changes})
    comparison = Comparison.create(
        tmp_path / "c", task_named(config.task), config, tiny_sample / labels
    )
    verdict = comparison.run(lambda event: None)
    document = json.loads((tmp_path / "c" / "verdict.json").read_text())
    assert document["metric"] == metric
    (point,) = verdict.points
    assert 0 <= point.pretrained.mean <= 1
    assert 0 <= point.scratch.mean <= 1


def run_main():
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code


def test_the_command_says_what_came_out(
    settings, tiny_sample, tmp_path, monkeypatch, capsys
):
    command = ["scanlearn", "compare", str(settings["cohort"])]
    command += ["--task", "segmentation", "--preset", "quick"]
    command += ["--labels", str(tiny_sample / "labels" / "lungs")]
    command += ["--from", str(settings["start_from"]), "--repeats", "1"]
    command += ["--out", str(tmp_path / "c"), "--budgets", "1"]
    for key in ("engine.steps=1", "engine.device=cpu", "recipe.batch=2"):
        command += ["-s", key]
    monkeypatch.setattr("sys.argv", [*command, "--json"])
    run_main()
    document = json.loads(capsys.readouterr().out)
    assert [point["budget"] for point in document["points"]] == [1]
    assert document["sentences"][-1].startswith("Only 1 repeat:")
    monkeypatch.setattr("sys.argv", command)  # all is done: it is only told again
    run_main()
    printed = capsys.readouterr().out
    assert "labelled patients" in printed
    assert document["sentences"][0] in printed


def test_too_few_labels_leave_nothing_behind(settings, tiny_sample, tmp_path):
    config = parse_comparison(settings | {"budgets": (4,)})
    with pytest.raises(BadLabels, match="at most 3"):
        Comparison.create(
            tmp_path / "c",
            task_named(config.task),
            config,
            tiny_sample / "labels" / "lungs",
        )
    assert list(tmp_path.iterdir()) == []


def test_the_scans_to_label_next_are_those_without_labels(
    settings, tiny_sample, tmp_path
):
    config = finetuning_config(
        [settings["cohort"]],
        task=task_named("segmentation"),
        preset_name="quick",
        start_from=settings["start_from"],
        changes=SMALL,
    )
    labels = labels_for(task_of(config), config, tiny_sample / "labels" / "lungs")
    known, *unknown = labels.patient_keys
    run = new_finetuning(config, labels.of([known]), tmp_path / "one")
    list(train_run(run))
    found = suggest(task_of(run.config()), run, settings["cohort"], count=2)
    assert len({one.patient for one in found}) == 2
    assert {one.patient for one in found} <= set(unknown)
    assert all(0 < one.doubt <= 1 and one.novelty > 0 for one in found)
    everyone = new_finetuning(config, labels, tmp_path / "all")
    assert (
        suggest(task_of(everyone.config()), everyone, settings["cohort"], count=2) == []
    )
