from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.config.engine import EngineConfig, OptimiserConfig
from scanlearn.engine.checkpoints import Checkpoints
from scanlearn.engine.devices import make_accelerator
from scanlearn.engine.loop import train
from scanlearn.engine.optimisers import make_optimiser, make_schedule
from scanlearn.engine.recipe import check_share
from scanlearn.errors import BadConfig, BadRun, Diverged
from scanlearn.runs.events import (
    Epoch,
    Finished,
    Health,
    Saved,
    Started,
    Step,
)

STEPS = 8
SGD = OptimiserConfig(name="sgd", learning_rate=0.05, warmup=0.25)
ADAM = OptimiserConfig(learning_rate=0.01, schedule="constant")


def engine(**changes) -> EngineConfig:
    often = {"steps": STEPS, "save_every": 3, "validate_every": 2, "log_every": 1}
    where = {"device": "cpu", "precision": "no", "threads": 1}
    return EngineConfig(**(often | where | changes))


def begin(recipe, config, folder, *, stop_after=None):
    """Return the events of a training; a stop is asked for after so many steps."""
    asked = itertools.count(1)
    stop = (lambda: next(asked) >= stop_after) if stop_after else (lambda: False)
    accelerator = make_accelerator(config)
    return train(recipe, config, folder, accelerator=accelerator, should_stop=stop)


def run(recipe, config, folder, *, stop_after=None):
    return list(begin(recipe, config, folder, stop_after=stop_after))


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
def whole(tmp_path, small):
    """Return a function that gives the last state of an uninterrupted training."""

    def train_through(optimiser, config):
        folder = tmp_path / "whole"
        run(small(optimiser), config, folder)
        return state_of(folder)

    return train_through


@pytest.mark.parametrize("optimiser", [SGD, ADAM], ids=["sgd", "adamw"])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_stopped_training_goes_on_as_if_it_had_not_been(
    tmp_path, whole, optimiser, accumulate, small
):
    config = engine(accumulate=accumulate, clip_norm=1.0)
    expected = whole(optimiser, config)
    for stop_after in range(1, STEPS):
        folder = tmp_path / str(stop_after)
        first = run(small(optimiser), config, folder, stop_after=stop_after)
        assert first[-1].kind == "stopped"
        second = run(small(optimiser), config, folder)
        assert second[0].step == stop_after
        assert second[-1].kind == "finished"
        assert_same(state_of(folder), expected)


def slow_learner(small, learned_at: int):
    """Return a class of recipes whose health is amber before a step."""

    class Slow(small):
        def health(self, step):
            light = "green" if step >= learned_at else "amber"
            return Health(step=step, light=light, sentence="It learns.")

    return Slow


@pytest.mark.parametrize(
    ("learned_at", "steps"),
    [(0, 8), (8, 8), (9, 16), (16, 16), (17, 24), (99, 24)],  # three rounds at most
)
def test_a_training_goes_on_until_it_has_learned(tmp_path, small, learned_at, steps):
    config = engine(rounds=3, passes=40.0)
    told = run(slow_learner(small, learned_at)(SGD), config, tmp_path)
    assert told[-1] == Finished(step=steps, time=told[-1].time)
    started = [event for event in told if isinstance(event, Started)]
    assert [event.steps for event in started] == list(range(8, steps + 1, 8))
    assert [event.step for event in started] == list(range(0, steps, 8))
    assert [event.passes for event in started] == [5.0 * e.steps for e in started]
    again = run(slow_learner(small, learned_at)(SGD), config, tmp_path)
    assert again[-1].step == steps
    assert not [event for event in again if isinstance(event, Step)]


def test_a_training_in_rounds_goes_on_as_if_it_had_not_been_stopped(tmp_path, small):
    """Stopped anywhere, at the ends of rounds, too."""
    config, recipe = engine(rounds=3), slow_learner(small, 99)
    run(recipe(SGD), config, tmp_path / "whole")
    expected = state_of(tmp_path / "whole")
    assert expected["step"] == 24
    for stop_after in (3, 8, 9, 15, 16, 23):
        folder = tmp_path / str(stop_after)
        first = run(recipe(SGD), config, folder, stop_after=stop_after)
        assert first[-1].kind == "stopped"
        assert first[-1].step == stop_after
        run(recipe(SGD), config, folder)
        assert_same(state_of(folder), expected)


def test_every_round_has_a_rate_of_its_own(small):
    recipe = small(SGD)
    one = [recipe.rate(step, STEPS) for step in range(STEPS)]
    assert one[0] < one[2] > one[-1]
    assert [recipe.rate(step, STEPS) for step in range(STEPS, 3 * STEPS)] == 2 * one


def test_a_killed_training_repeats_the_steps_since_its_checkpoint(
    tmp_path, whole, small
):
    expected = whole(ADAM, engine())
    for kept in range(1, 20):
        folder = tmp_path / str(kept)
        killed = begin(small(ADAM), engine(), folder)
        heard = list(itertools.islice(killed, kept))
        killed.close()
        saved = [event.step for event in heard if isinstance(event, Saved)]
        events = run(small(ADAM), engine(), folder)
        assert events[0].step == (saved[-1] if saved else 0)
        assert_same(state_of(folder), expected)


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(1, 3), max_size=6))
def test_any_number_of_interruptions_changes_nothing(tmp_path_factory, cuts, small):
    config = engine()
    folder = tmp_path_factory.mktemp("cut")
    for stop_after in cuts:
        recipe = small(SGD)
        run(recipe, config, folder / "mine", stop_after=stop_after)
    run(small(SGD), config, folder / "mine")
    run(small(SGD), config, folder / "whole")
    assert_same(state_of(folder / "mine"), state_of(folder / "whole"))


def test_the_story_is_told_in_order(tmp_path, small):
    config = engine(steps=6)
    events = run(small(ADAM), config, tmp_path)
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


def test_the_curve_is_thinned_but_ends_with_the_last_step(tmp_path, small):
    config = engine(steps=5, log_every=2)
    events = run(small(ADAM), config, tmp_path)
    assert [e.step for e in events if isinstance(e, Step)] == [2, 4, 5]


def test_a_stop_saves_the_step_at_hand(tmp_path, small):
    events = run(small(ADAM), engine(), tmp_path, stop_after=5)
    assert [(e.kind, e.step) for e in events[-2:]] == [("saved", 5), ("stopped", 5)]
    assert state_of(tmp_path)["step"] == 5
    assert (tmp_path / "export.json").read_text() == "5"


def test_a_stop_with_the_last_step_is_a_finish(tmp_path, small):
    events = run(small(ADAM), engine(), tmp_path, stop_after=STEPS)
    assert isinstance(events[-1], Finished)


def test_no_minutes_write_an_untrained_state(tmp_path, small):
    recipe = small(ADAM)
    untrained = {name: x.clone() for name, x in recipe.state_dict().items()}
    events = run(recipe, engine(minutes=0), tmp_path)
    assert [event.kind for event in events] == ["started", "saved", "finished"]
    state = state_of(tmp_path)
    assert state["step"] == 0
    assert_same(dict(state["recipe"]), untrained)
    assert (tmp_path / "export.json").read_text() == "0"


def test_a_finished_training_is_not_trained_further(tmp_path, small):
    run(small(ADAM), engine(), tmp_path)
    before = state_of(tmp_path)
    events = run(small(ADAM), engine(), tmp_path)
    assert [event.kind for event in events] == ["started", "saved", "finished"]
    assert_same(state_of(tmp_path), before)


def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(tmp_path, small):
    recipe = small(ADAM, breaks_at=4)
    with pytest.raises(Diverged, match=r"not a number at step 5.*learning_rate=0\.003"):
        run(recipe, engine(), tmp_path)
    state = state_of(tmp_path)
    assert state["step"] == 3
    assert all(bool(x.isfinite().all()) for x in state["recipe"].values())
    assert recipe.exported == [0, 3]


@pytest.mark.parametrize("scores", [None, {2: 0.1, 4: 0.2, 6: 0.3}])
def test_a_weight_that_is_no_number_is_never_saved(tmp_path, small, scores):
    """The loss of a step is that of the weights before it."""
    recipe = small(ADAM, scores=scores)
    events = begin(recipe, engine(save_every=1), tmp_path)
    for event in events:
        if isinstance(event, Step) and event.step == 4:
            with torch.no_grad():
                recipe.net[0].weight[0, 0] = float("inf")
            break
    with pytest.raises(Diverged, match="weight is not a number after step 4"):
        list(events)
    state = state_of(tmp_path)
    assert state["step"] == 3
    assert all(bool(x.isfinite().all()) for x in state["recipe"].values())
    assert recipe.exported[-1] == (3 if scores is None else 2)


@pytest.mark.parametrize("optimiser", [SGD, ADAM])
def test_a_resumed_training_has_the_rate_asked_for_now(tmp_path, small, optimiser):
    run(small(optimiser), engine(), tmp_path, stop_after=4)
    slower = optimiser.model_copy(
        update={"learning_rate": optimiser.learning_rate / 10, "weight_decay": 0.5}
    )
    run(small(slower), engine(save_every=1), tmp_path, stop_after=1)
    state = state_of(tmp_path)
    assert state["step"] == 5
    fresh = small(slower)
    made = make_optimiser(fresh.parameter_groups(), slower)
    make_schedule(made, fresh.rate, steps=STEPS)
    for group, own in zip(
        state["optimiser"]["param_groups"], made.param_groups, strict=True
    ):
        assert group["weight_decay"] == 0.5
        assert group["initial_lr"] == own["initial_lr"]
        assert group["lr"] == own["initial_lr"] * fresh.rate(5, STEPS)
    assert state["schedule"]["base_lrs"] == [g["initial_lr"] for g in made.param_groups]


def test_the_best_score_is_kept_and_exported(tmp_path, small):
    scores = {2: 0.3, 4: 0.7, 6: 0.5, 8: 0.6}
    recipe = small(ADAM, scores=scores)
    events = run(recipe, engine(), tmp_path)
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


def test_a_resumed_training_remembers_the_best_score(tmp_path, small):
    scores = {2: 0.9, 4: 0.2, 6: 0.3, 8: 0.4}
    first = small(ADAM, scores=scores)
    run(first, engine(), tmp_path, stop_after=3)
    recipe = small(ADAM, scores=scores)
    events = run(recipe, engine(), tmp_path)
    assert not any(e.best for e in events if isinstance(e, Epoch))
    assert recipe.exported == []
    assert Checkpoints(tmp_path).load("best")["step"] == 2


def test_a_training_resumed_after_its_last_look_still_tells_it(tmp_path, small):
    """A run stopped at its last validation ends with what that had found."""
    scores = {2: 0.2, 4: 0.4, 6: 0.6}
    run(small(ADAM, scores=scores), engine(steps=7), tmp_path, stop_after=6)
    events = run(small(ADAM, scores=scores), engine(steps=7), tmp_path)
    assert isinstance(events[-1], Finished)
    assert events[-1].values == {"score": 0.6}


def test_accumulated_batches_make_one_step_of_their_mean_gradient(tmp_path, small):
    plain = OptimiserConfig(name="sgd", learning_rate=0.01, momentum=0)
    mine, model = small(plain), small(plain)
    mine.net[1].p = model.net[1].p = 0.0
    config = engine(steps=1, accumulate=2)
    batches = list(itertools.islice(model.batches(0, config, None), 2))
    run(mine, config, tmp_path)

    first = model(batches[0]).loss
    model.after_step(batches[0])
    second = model(batches[1]).loss
    ((first + second) / 2).backward()
    for name, weight in model.named_parameters():
        rate = 0.01 * (0.5 if name.startswith("net.0") else 1.0)
        expected = weight - rate * (weight.grad + plain.weight_decay * weight)
        assert torch.allclose(mine.get_parameter(name), expected, atol=1e-6)


@pytest.mark.parametrize(("batch", "processes", "least"), [(4, 4, 2), (3, 4, 1)])
def test_processes_that_would_get_too_little_are_told_before_the_first_step(
    batch, processes, least
):
    check_share(8, 4, least=2)
    with pytest.raises(BadConfig, match=f"A batch of {batch} over {processes}"):
        check_share(batch, processes, least=least)


def _lose_a_key(state: dict) -> None:
    del state["optimiser"]


def _lose_a_weight(state: dict) -> None:
    del state["recipe"]["net.0.weight"]


def _reshape_a_weight(state: dict) -> None:
    state["recipe"]["net.0.weight"] = torch.zeros(3, 3)


def _reshape_a_momentum(state: dict) -> None:
    state["optimiser"]["state"][0]["exp_avg"] = torch.zeros(2)


def _lose_the_queue(state: dict) -> None:
    state["memory"] = {}


def _hold_words_for_numbers(state: dict) -> None:
    state["step"] = "three"


@pytest.mark.parametrize(
    "damage",
    [
        _lose_a_key,
        _lose_a_weight,
        _reshape_a_weight,
        _reshape_a_momentum,
        _lose_the_queue,
        _hold_words_for_numbers,
    ],
)
def test_a_state_of_another_training_is_told_in_one_line(tmp_path, small, damage):
    recipe = small(OptimiserConfig())
    run(recipe, engine(), tmp_path, stop_after=3)
    states = Checkpoints(tmp_path)
    state = states.load("last")
    damage(state)
    states.save("last", state)
    with pytest.raises(BadRun, match="not a state of this training") as found:
        run(small(OptimiserConfig()), engine(), tmp_path)
    assert "\n" not in str(found.value)
    assert "Delete its folder" in found.value.next_step


def test_a_state_that_is_a_list_is_told(tmp_path):
    states = Checkpoints(tmp_path)
    states.save("last", {})
    torch.save([1, 2], tmp_path / "last" / "state.pt")
    with pytest.raises(BadRun, match="holds no state"):
        states.load("last")
