"""A damaged run is a row with a word; it never ends the list nor hides the others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scanlearn.errors import BadRun, TooNew
from scanlearn.runs.damage import damage
from scanlearn.runs.events import Crashed, Finished, Message, Started, Step, parse_event
from scanlearn.runs.folder import EventLog, RunFolder, find_runs

Break = Callable[[RunFolder], object]


def _tell(run: RunFolder, *lines: str) -> None:
    with run.events_file.open("a", encoding="utf-8") as story:
        story.writelines(f"{line}\n" for line in lines)


def _newer(run: RunFolder) -> None:
    file = run.path / "config.yaml"
    file.write_text(file.read_text().replace("format: 1", "format: 2"))


def _bomb(run: RunFolder) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    for n in range(1, 30):
        lines.append(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]")
    (run.path / "config.yaml").write_text("\n".join(lines))


#: What is broken, and the word that the list has for it; {} where it lives with it.
BROKEN: dict[str, tuple[Break, str]] = {
    "empty run.json": (lambda run: (run.path / "run.json").touch(), "unreadable"),
    "foreign run.json": (
        lambda run: (run.path / "run.json").write_text('{"name": "another tool"}'),
        "unreadable",
    ),
    "run.json of a list": (
        lambda run: (run.path / "run.json").write_text("[1, 2]"),
        "unreadable",
    ),
    "run.json with a word for a number": (
        lambda run: (run.path / "run.json").write_text(
            '{"pid": "7", "process_started": 1.0, "host": "x"}'
        ),
        "unreadable",
    ),
    "deep run.json": (
        lambda run: (run.path / "run.json").write_text("[" * 100_000),
        "unreadable",
    ),
    "unknown event": (
        lambda run: _tell(run, '{"kind": "paused", "time": 1.0, "until": "noon"}'),
        "new",
    ),
    "damaged event": (lambda run: _tell(run, '{"kind": "st'), "unreadable"),
    "binary events": (
        lambda run: run.events_file.write_bytes(b"\x00\xff\n" * 9),
        "unreadable",
    ),
    "endless step": (
        lambda run: _tell(
            run, f'{{"kind": "step", "step": {"9" * 400}, "values": {{}}}}'
        ),
        "unreadable",
    ),
    "events are a folder": (lambda run: run.events_file.mkdir(), "unreadable"),
    "newer configuration": (_newer, "newer"),
    "empty configuration": (
        lambda run: (run.path / "config.yaml").write_text(""),
        "unreadable",
    ),
    "binary configuration": (
        lambda run: (run.path / "config.yaml").write_bytes(b"\x00\xff"),
        "unreadable",
    ),
    "configuration of aliases": (_bomb, "unreadable"),
    "deep configuration": (
        lambda run: (run.path / "config.yaml").write_text("a: " + "[" * 50_000),
        "unreadable",
    ),
    "huge configuration": (
        lambda run: (run.path / "config.yaml").write_text("# " + "x" * 600_000),
        "unreadable",
    ),
}


@pytest.fixture(params=BROKEN, ids=str)
def broken(request, tmp_path, config) -> tuple[RunFolder, str]:
    run = RunFolder.create(tmp_path / "runs" / "broken", config)
    good = RunFolder.create(tmp_path / "runs" / "good", config)
    log = EventLog(good)
    log.write(Finished(step=3))
    log.close()
    break_it, word = BROKEN[request.param]
    break_it(run)
    return run, word


def test_the_list_lives_with_it(broken, scanlearn):
    run, word = broken
    listed = scanlearn("runs", run.path.parent, "--json")
    assert listed.status == 0, listed.err
    states = {Path(row["run"]).name: row["state"] for row in listed.document}
    assert states == {"broken": word, "good": "finished"}
    assert all("\n" not in row.get("problem", "") for row in listed.document)
    for_people = scanlearn("runs", run.path.parent)
    assert for_people.status == 0
    assert word in for_people.out
    assert "finished" in for_people.out


@pytest.mark.parametrize("command", ["resume", "stop"])
def test_a_command_for_it_is_refused_in_one_line(broken, scanlearn, command):
    run, _ = broken
    assert scanlearn(command, run.path).told()  # exit code 2, one line
    assert not run.stop_file.exists()


def test_a_newer_configuration_is_no_wrong_setting(run):
    _newer(run)
    with pytest.raises(TooNew, match="format 2") as found:
        run.config()
    assert "Update" in found.value.next_step
    assert damage(found.value).word == "newer"


def test_what_only_a_newer_version_says_is_passed_over(run):
    log = EventLog(run)
    log.write(Started(steps=5))
    log.write(Finished(step=5))
    log.close()
    _tell(run, '{"kind": "archived", "where": {"deep": [1, 2]}}')
    assert [event.kind for event in run.events()] == ["started", "finished", "archived"]
    assert run.state() == "new"  # whatever it means, it is no end that is known


def test_what_is_not_a_number_is_read_back(run):
    written = Step(step=1, values={"loss": float("nan")}, seconds_left=float("inf"))
    line = written.model_dump_json()
    json.loads(line, parse_constant=pytest.fail)  # it stays JSON that all can read
    read = parse_event(line)
    assert str(read.values["loss"]) == "nan"
    assert read.seconds_left is None


def test_last_words_of_any_length_are_read(run):
    log = EventLog(run)
    log.write(Message(text="before"))
    log.write(Crashed(error="no", details="x" * 1_000_000))
    log.close()
    assert len(run.last_event().details) == 1_000_000
    assert run.state() == "crashed"


def test_a_run_that_vanishes_while_it_is_listed_is_left_out(tmp_path, config):
    for name in ("one", "other"):
        RunFolder.create(tmp_path / name, config)
    found = find_runs(tmp_path)
    first = next(found)
    for folder in tmp_path.iterdir():
        if folder != first.path:
            shutil.rmtree(folder)
    assert list(found) == []


def test_a_folder_in_place_of_the_configuration_is_no_run(tmp_path, config):
    RunFolder.create(tmp_path / "run", config)
    (tmp_path / "other" / "config.yaml").mkdir(parents=True)
    assert [run.name for run in find_runs(tmp_path)] == ["run"]


def test_advice_for_a_damaged_owner_works(run):
    (run.path / "run.json").touch()
    with pytest.raises(BadRun, match="which process") as found:
        run.state()
    assert "Delete it" in found.value.next_step
    (run.path / "run.json").unlink()
    assert run.state() == "new"
