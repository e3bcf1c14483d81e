from __future__ import annotations

import pytest

from scanlearn.config.run import merge, parse_run_config
from scanlearn.pretraining.registry import method_named
from scanlearn.runs.folder import RunFolder


@pytest.fixture
def config():
    data = method_named("drasclr").offer.preset("quick", {})
    return parse_run_config(merge(data, {"kind": "pretrain", "cohorts": ["cohort"]}))


@pytest.fixture
def run(tmp_path, config):
    return RunFolder.create(tmp_path / "run", config)
