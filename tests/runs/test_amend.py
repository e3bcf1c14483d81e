"""Settings may change between two workers where that leaves what was learned."""

from __future__ import annotations

import json
import socket

import pytest

from scanlearn.config.run import parse_settings
from scanlearn.errors import BadConfig, BadRun
from scanlearn.processes import birth_mark
from scanlearn.runs.amend import amend
from scanlearn.runs.folder import RunFolder


def test_a_lower_rate_is_written_and_told(run: RunFolder) -> None:
    before = run.config()
    was = before.recipe.optimiser.learning_rate
    amend(run, parse_settings(["optimiser.learning_rate=1e-4", "minutes=5"]))
    after = run.config()
    assert after.recipe.optimiser.learning_rate == 1e-4
    assert after.engine.minutes == 5
    assert after.recipe.optimiser.warmup == before.recipe.optimiser.warmup
    (told,) = run.events()
    assert "optimiser.learning_rate is 0.0001" in told.text
    assert f"it was {was}" in told.text


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("batch=2", "'batch' is part of what was learned"),
        ("encoder.width=2", "'encoder.width' is part"),
        ("optimiser.name=larc", "'optimiser.name' is part"),
        ("engine.seed=5", "'engine.seed' is part"),
        ("cohorts=[elsewhere]", "'cohorts' is part"),
        ("optimiser.learning_rate=-1", "learning_rate"),
        ("optimiser.no_such=1", "no_such"),
    ],
)
def test_what_cannot_change_leaves_the_run_as_it_was(
    run: RunFolder, setting: str, words: str
) -> None:
    before = (run.path / "config.yaml").read_bytes()
    with pytest.raises(BadConfig, match=words):
        amend(run, parse_settings([setting]))
    assert (run.path / "config.yaml").read_bytes() == before
    assert run.events() == []


def test_the_same_settings_are_no_change(run: RunFolder) -> None:
    amend(run, parse_settings([f"batch={run.config().recipe.batch}"]))
    assert run.events() == []


def test_a_run_that_is_trained_stays_as_it_is(run: RunFolder) -> None:
    owner = {"pid": 1, "process_mark": birth_mark(1), "host": socket.gethostname()}
    (run.path / "run.json").write_text(json.dumps(owner))
    with pytest.raises(BadRun, match="being trained"):
        amend(run, parse_settings(["minutes=5"]))
