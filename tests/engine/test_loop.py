from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.config.engine import EngineConfig, OptimiserConfig
from scanlearn.engine.checkpoints import Checkpoints
from scanlearn.engine.loop import train
from scanlearn.runs.events import Epoch, Finished, Message, Saved, Started, Step

_SPEC = importlib.util.spec_from_file_location(
    "small_recipe", Path(__file__).with_name("small_recipe.py")
)
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
SmallRecipe = _MODULE.SmallRecipe

STEPS = 8
SGD = OptimiserConfig(name="sgd", learning_rate=0.05, warmup=0.25)
ADAM = OptimiserConfig(learning_rate=0.01, schedule="constant")


def engine(**changes) -> EngineConfig:
    defaults = {"steps": STEPS, "save_every": 3, "validate_every": 2, "log_every": 1}
    return EngineConfig(**(defaults | changes))


def run(recipe, config, folder, accelerator, *, stop_after=None):
    """Train to the end, or until a stop asked for after so many steps."""
    asked = itertools.count(1)
    stop = (lambda: next(asked) >= stop_after) if stop_after else (lambda: False)
    return list(
        train(recipe, config, folder, accelerator=accelerator, should_stop=stop)
    )


def state_of(folder):
    return Checkpoints(folder).load("last")


def assert_same(mine, theirs):
    """Compare two states bit by bit."""
    assert type(mine) is type(theirs)
    if isinstance(mine, torch.Tensor):
        assert torch.equal(mine, theirs)
    elif isinstance(mine, dict):
        assert mine.keys() == theirs.keys()
        for key in mine:
            assert_same(mine[key], theirs[key])
    elif isinstance(mine, list | tuple):
        assert len(mine) == len(theirs)
        for one, other in zip(mine, theirs, strict=True):
            assert_same(one, other)
    else:
        assert mine == theirs


@pytest.fixture
def whole(tmp_path, accelerator):
    """Return a function that gives the last state of an uninterrupted training."""

    def train_through(optimiser, config):
        folder = tmp_path / "whole"
        run(SmallRecipe(optimiser), config, folder, accelerator)
        return state_of(folder)

    return train_through


@pytest.mark.parametrize("optimiser", [SGD, ADAM], ids=["sgd", "adamw"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_stopped_training_goes_on_as_if_it_had_not_been(
    tmp_path, accelerator, whole, optimiser, accumulate
):
    config = engine(accumulate=accumulate, clip_norm=1.0)
    expected = whole(optimiser, config)
    for stop_after in range(1, STEPS):
        folder = tmp_path / str(stop_after)
        first = run(
            SmallRecipe(optimiser), config, folder, accelerator, stop_after=stop_after
        )
        assert first[-1].kind == "stopped"
        second = run(SmallRecipe(optimiser), config, folder, accelerator)
        assert second[0].step == stop_after
        assert second[-1].kind == "finished"
        assert_same(state_of(folder), expected)


def test_a_killed_training_repeats_the_steps_since_its_checkpoint(
    tmp_path, accelerator, whole
):
    expected = whole(ADAM, engine())
    for kept in range(1, 20):
        folder = tmp_path / str(kept)
        killed = train(
            SmallRecipe(ADAM),
            engine(),
            folder,
            accelerator=accelerator,
            should_stop=lambda: False,
        )
        heard = [event for event, _ in zip(killed, range(kept), strict=False)]
        killed.close()
        saved = [event.step for event in heard if isinstance(event, Saved)]
        events = run(SmallRecipe(ADAM), engine(), folder, accelerator)
        assert events[0].step == (saved[-1] if saved else 0)
        assert_same(state_of(folder), expected)


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 3), max_size=6))
def test_any_number_of_interruptions_changes_nothing(
    tmp_path_factory, accelerator_once, cuts
):
    config = engine()
    folder = tmp_path_factory.mktemp("cut")
    for stop_after in cuts:
        recipe = SmallRecipe(SGD)
        run(recipe, config, folder / "mine", accelerator_once, stop_after=stop_after)
    run(SmallRecipe(SGD), config, folder / "mine", accelerator_once)
    run(SmallRecipe(SGD), config, folder / "whole", accelerator_once)
    assert_same(state_of(folder / "mine"), state_of(folder / "whole"))


@pytest.fixture(scope="module")
def accelerator_once():
    from accelerate.state import AcceleratorState

    from scanlearn.engine.devices import make_accelerator

    AcceleratorState._reset_state(reset_partial_state=True)
    yield make_accelerator(engine(device="cpu", precision="no", threads=1))
    AcceleratorState._reset_state(reset_partial_state=True)


def test_the_story_is_told_in_order(tmp_path, accelerator):
    config = engine(steps=6)
    events = run(SmallRecipe(ADAM), config, tmp_path, accelerator)
    told = [(event.kind, getattr(event, "step", None)) for event in events]
    assert told == [
        ("started", 0),
        ("step", 1),
        ("step", 2),
        ("health", 2),
        ("step", 3),
        ("saved", 3),
        ("step", 4),
        ("health", 4),
        ("step", 5),
        ("step", 6),
        ("health", 6),
        ("saved", 6),
        ("finished", 6),
    ]
    assert events[0] == Started(
        time=events[0].time, steps=6, step=0, device="cpu", precision="no"
    )
    for event in events:
        if isinstance(event, Step):
            assert event.values["twice"] == pytest.approx(2 * event.values["loss"])
            assert event.seconds_left >= 0


def test_the_curve_is_thinned_but_ends_with_the_last_step(tmp_path, accelerator):
    config = engine(steps=5, log_every=2)
    events = run(SmallRecipe(ADAM), config, tmp_path, accelerator)
    assert [e.step for e in events if isinstance(e, Step)] == [2, 4, 5]


def test_a_stop_saves_the_step_at_hand(tmp_path, accelerator):
    events = run(SmallRecipe(ADAM), engine(), tmp_path, accelerator, stop_after=5)
    assert [(e.kind, e.step) for e in events[-2:]] == [("saved", 5), ("stopped", 5)]
    assert state_of(tmp_path)["step"] == 5
    assert (tmp_path / "export.json").read_text() == "5"


def test_a_stop_with_the_last_step_is_a_finish(tmp_path, accelerator):
    events = run(SmallRecipe(ADAM), engine(), tmp_path, accelerator, stop_after=STEPS)
    assert isinstance(events[-1], Finished)


def test_no_minutes_write_an_untrained_state(tmp_path, accelerator):
    recipe = SmallRecipe(ADAM)
    untrained = {name: x.clone() for name, x in recipe.state_dict().items()}
    events = run(recipe, engine(minutes=0), tmp_path, accelerator)
    assert [event.kind for event in events] == ["started", "saved", "finished"]
    state = state_of(tmp_path)
    assert state["step"] == 0
    assert_same(dict(state["recipe"]), untrained)
    assert (tmp_path / "export.json").read_text() == "0"


def test_a_finished_training_is_not_trained_further(tmp_path, accelerator):
    run(SmallRecipe(ADAM), engine(), tmp_path, accelerator)
    before = state_of(tmp_path)
    events = run(SmallRecipe(ADAM), engine(), tmp_path, accelerator)
    assert [event.kind for event in events] == ["started", "saved", "finished"]
    assert_same(state_of(tmp_path), before)


def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(tmp_path, accelerator):
    recipe = SmallRecipe(ADAM, breaks_at=4)
    events = run(recipe, engine(), tmp_path, accelerator)
    assert isinstance(events[-2], Message)
    assert events[-2].severity == "warning"
    assert "not a number at step 5" in events[-2].text
    assert (events[-1].kind, events[-1].step) == ("stopped", 5)
    state = state_of(tmp_path)
    assert state["step"] == 3
    assert all(bool(x.isfinite().all()) for x in state["recipe"].values())


def test_the_best_score_is_kept_and_exported(tmp_path, accelerator):
    scores = {2: 0.3, 4: 0.7, 6: 0.5, 8: 0.6}
    recipe = SmallRecipe(ADAM, scores=scores)
    events = run(recipe, engine(), tmp_path, accelerator)
    told = [e for e in events if isinstance(e, Epoch)]
    assert [(e.step, e.best) for e in told] == [
        (2, True),
        (4, True),
        (6, False),
        (8, False),
    ]
    assert [e.values["score"] for e in told] == list(scores.values())
    assert Checkpoints(tmp_path).load("best")["step"] == 4
    assert state_of(tmp_path)["step"] == STEPS
    # Once something is the best so far, a worse state is not what others get.
    assert recipe.exported == [0, 2, 4]
    assert events[-1].values == {"score": 0.6}


def test_a_resumed_training_remembers_the_best_score(tmp_path, accelerator):
    scores = {2: 0.9, 4: 0.2, 6: 0.3, 8: 0.4}
    first = SmallRecipe(ADAM, scores=scores)
    run(first, engine(), tmp_path, accelerator, stop_after=3)
    recipe = SmallRecipe(ADAM, scores=scores)
    events = run(recipe, engine(), tmp_path, accelerator)
    assert not any(e.best for e in events if isinstance(e, Epoch))
    assert recipe.exported == []
    assert Checkpoints(tmp_path).load("best")["step"] == 2


def test_one_accumulated_step_is_one_step_on_the_whole_batch(tmp_path, accelerator):
    """Without dropout two half batches give the gradient of the batch they make."""
    once = SmallRecipe(OptimiserConfig(name="sgd", learning_rate=0.01, momentum=0))
    once.net[1].p = 0.0
    weights = [p.detach().clone() for p in once.net.parameters()]
    config = engine(steps=1, accumulate=2)
    run(once, config, tmp_path, accelerator)
    halves = [b["x"] for b, _ in zip(once.batches(0, config, accelerator), "ab")]  # noqa: B905
    again = SmallRecipe(SGD)
    again.net[1].p = 0.0
    first, second = again(dict(x=halves[0])).loss, None
    again.after_step({"x": halves[0]})
    second = again(dict(x=halves[1])).loss
    ((first + second) / 2).backward()
    rates = [0.5, 0.5, 1.0, 1.0]
    for before, after, model, rate in zip(
        weights, once.net.parameters(), again.net.parameters(), rates, strict=True
    ):
        decayed = model.grad + 1e-4 * before
        assert torch.allclose(after, before - 0.01 * rate * decayed, atol=1e-6)
