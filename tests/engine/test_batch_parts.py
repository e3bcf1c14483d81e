"""Where memory is too small a batch is learned from in parts, to the same end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scanlearn.config.engine import EngineConfig, OptimiserConfig
from scanlearn.engine.batch_parts import halved, parts_of
from scanlearn.engine.checkpoints import Checkpoints
from scanlearn.engine.devices import make_accelerator
from scanlearn.engine.loop import train
from scanlearn.engine.recipe import StepResult
from scanlearn.errors import BadConfig
from scanlearn.runs.events import Finished, Message, Stopped

SGD = OptimiserConfig(name="sgd", learning_rate=0.05)


def tight(small, *, fits: int, divisible: bool = True):
    """Return a recipe on a machine whose memory holds so many samples of its five."""

    class Tight(small):
        def forward(self, batch):
            if len(batch["x"]) > fits:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate…")
            result = super().forward(batch)
            return StepResult(result.loss, values=result.values)

        def after_step(self, carry):
            assert not carry

    recipe = Tight(SGD)
    recipe.divisible = divisible
    recipe.net[1].p = 0.0  # what is dropped would differ
    return recipe


def run(recipe, folder: Path, *, stop: bool = False, **changes):
    settings = {"steps": 4, "save_every": 2, "validate_every": 9, "log_every": 1}
    where = {"device": "cpu", "precision": "no", "threads": 1}
    config = EngineConfig(**(settings | where | changes))
    accelerator = make_accelerator(config)
    ended = {"accelerator": accelerator, "should_stop": lambda: stop}
    return list(train(recipe, config, folder, **ended))


@pytest.mark.parametrize("accumulate", [1, 2])
@pytest.mark.parametrize(("fits", "parts"), [(4, 2), (2, 4)])
def test_parts_teach_what_the_whole_does(
    small, tmp_path, fits, parts, accumulate
) -> None:
    """Gradients of the parts add up to the batch's, also when they are not even."""
    whole = run(tight(small, fits=9), tmp_path / "whole", accumulate=accumulate)
    events = run(tight(small, fits=fits), tmp_path / "parts", accumulate=accumulate)
    assert isinstance(events[-1], Finished)
    assert not [event for event in whole if isinstance(event, Message)]
    told = [event.text for event in events if isinstance(event, Message)]
    assert f"from step 1 on each batch is learned from in {parts} parts" in told[-1]
    one, other = (Checkpoints(tmp_path / n).load("last") for n in ("whole", "parts"))
    assert one is not None
    assert other is not None
    assert (one["parts"], other["parts"]) == (1, parts)
    for name, value in one["recipe"].items():
        torch.testing.assert_close(other["recipe"][name], value)


def test_a_resumed_training_goes_on_in_parts(small, tmp_path) -> None:
    stopped = run(tight(small, fits=2), tmp_path, stop=True)
    assert isinstance(stopped[-1], Stopped)
    events = run(tight(small, fits=2), tmp_path)
    assert isinstance(events[-1], Finished)
    assert not [event for event in events if isinstance(event, Message)]


@pytest.mark.parametrize(("fits", "divisible"), [(0, True), (4, False)])
def test_what_cannot_be_divided_is_told(small, tmp_path, fits, divisible) -> None:
    recipe = tight(small, fits=fits, divisible=divisible)
    with pytest.raises(BadConfig, match="too small for") as told:
        run(recipe, tmp_path)
    assert ("compared" in str(told.value)) is not divisible


def test_parts_hold_every_sample_once() -> None:
    batch = {"x": torch.arange(5), "y": torch.arange(10).view(5, 2)}
    parts = list(parts_of(batch, 3))
    assert torch.cat([part["x"] for part, _ in parts]).tolist() == [0, 1, 2, 3, 4]
    assert all(torch.equal(part["y"], batch["y"][part["x"]]) for part, _ in parts)
    assert sum(weight for _, weight in parts) == pytest.approx(3)
    assert halved(2, batch, divisible=True) == 4
    with pytest.raises(BadConfig):
        halved(4, batch, divisible=True)
