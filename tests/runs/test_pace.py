from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from scanlearn.config.run import RunConfig, merge, parse_run_config
from scanlearn.runs.events import Started, Step
from scanlearn.runs.folder import EventLog, RunFolder
from scanlearn.runs.pace import find_pace, pace_of, same_costs


def changed(config: RunConfig, **changes: Any) -> RunConfig:
    return parse_run_config(merge(config.model_dump(), changes))


def trained(run: RunFolder, *, host: str = "") -> RunFolder:
    """Tell of a first stretch of 1 s a step, and a second of half a second."""
    owner = {"pid": 1, "process_started": 0.0, "memory_bytes": 7}
    owner["host"] = host or socket.gethostname()
    (run.path / "run.json").write_text(json.dumps(owner))
    log = EventLog(run)
    log.write(Started(steps=99, time=0))
    log.write(Step(step=10, values={}, time=20))
    log.write(Step(step=20, values={}, time=30))
    log.write(Started(steps=99, step=20, time=100))
    log.write(Step(step=30, values={}, time=140))
    log.write(Step(step=50, values={}, time=150))
    log.close()
    return run


def test_pace_is_that_of_the_last_stretch_without_its_start(run: RunFolder) -> None:
    pace = pace_of(trained(run))
    assert pace is not None
    assert pace.seconds == 0.5
    assert pace.memory_bytes == 7
    files = [file for file in run.path.rglob("*") if file.is_file()]
    assert pace.disk_bytes == sum(len(file.read_bytes()) for file in files) > 0


def test_too_short_or_elsewhere_tells_nothing(run: RunFolder) -> None:
    assert pace_of(run) is None
    assert pace_of(trained(run, host="another-machine")) is None


def test_only_a_training_of_the_same_costs_counts(
    run: RunFolder, config: RunConfig, tmp_path: Path
) -> None:
    trained(run)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.yaml").write_text("kind: nothing\n")
    longer = changed(config, engine={"steps": 9999}, recipe={"temperature": 0.5})
    assert find_pace(tmp_path, longer) is not None
    larger = changed(config, recipe={"batch": 2 * config.recipe.batch})
    assert find_pace(tmp_path, larger) is None
    assert find_pace(tmp_path / "empty", config) is None


@pytest.mark.parametrize("spacing", [None, 2.0])
def test_the_cohort_counts_where_it_sets_the_voxel_size(
    config: RunConfig, spacing: float | None
) -> None:
    one = changed(config, recipe={"spacing_mm": spacing})
    other = changed(one, cohorts=["another"])
    assert same_costs(one, other) == (spacing is not None)
