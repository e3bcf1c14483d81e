from __future__ import annotations

import pytest
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from scanlearn.config.engine import EngineConfig
from scanlearn.engine.devices import make_accelerator


@pytest.fixture
def accelerator() -> Accelerator:
    """Return a CPU front end in full precision, whatever ran before in this process."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield make_accelerator(EngineConfig(device="cpu", precision="no", threads=1))
    AcceleratorState._reset_state(reset_partial_state=True)
