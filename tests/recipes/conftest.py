from __future__ import annotations

import pytest
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState


@pytest.fixture
def accelerator():
    """Return one on the CPU, whatever other tests left behind."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    yield Accelerator(cpu=True)
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
