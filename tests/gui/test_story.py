from __future__ import annotations

import pytest

from scanlearn.gui.shared.story import (
    Story,
    best_text,
    duration,
    last_words,
    progress_text,
    sentence,
)
from scanlearn.runs.events import (
    Crashed,
    Epoch,
    Finished,
    Health,
    Message,
    Started,
    Step,
    Stopped,
)


def told(*events: object) -> Story:
    story = Story()
    for event in events:
        story.add(event)  # type: ignore[arg-type]
    return story


def test_curves_leave_out_what_is_no_learning_curve() -> None:
    story = told(
        Started(steps=10), Step(step=1, values={"loss": 2.0, "learning_rate": 1e-3})
    )
    assert story.curves == {"loss": ([1], [2.0])}


def test_a_resumed_run_draws_no_loop() -> None:
    steps = [Step(step=n, values={"loss": 1.0 * n}) for n in (1, 2, 3, 4)]
    story = told(Started(steps=9), *steps, Crashed(error="x"), Started(steps=9, step=2))
    assert story.curves["loss"] == ([1, 2], [1.0, 2.0])
    assert story.last is None


def test_progress_says_step_and_time_left() -> None:
    story = told(Started(steps=20_000), Step(step=4120, values={}, seconds_left=3720.0))
    assert progress_text(story) == "step 4,120 / 20,000 · 1 h 02 min left"
    story.add(Finished(step=20_000))
    assert progress_text(story) == "step 20,000 / 20,000"
    story = told(Started(steps=200, passes=50.0), Step(step=40, values={}))
    assert progress_text(story) == "step 40 / 200 · pass 10 / 50"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (61, "1 min"), (3600, "1 h 00 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_best_is_a_validation_or_how_much_better_than_chance() -> None:
    assert best_text(told()) == ""
    health = Health(step=1, light="green", sentence="", values={"times_chance": 9.04})
    assert best_text(told(health)) == "9.0× chance"
    worse = Epoch(step=2, values={"dice": 0.5})
    best = Epoch(step=1, values={"loss": 1.0, "dice": 0.91}, best=True)
    assert best_text(told(best, worse)) == "dice 0.91"


def test_before_the_first_check_it_is_told_when_it_comes() -> None:
    story = Story(check_every=50)
    story.add(Started(steps=90, device="cpu"))
    expected = "Started on cpu; the first check comes after 50 steps"
    assert sentence(story) == expected
    story.add(Message(text="Four scans were placed."))
    story.add(Step(step=10, values={}))
    assert sentence(story) == (
        "Learning; the first check comes after 50 steps. Four scans were placed."
    )
    story.add(Stopped(step=20))
    assert sentence(story).startswith("Ended before its first check")


def test_a_training_without_held_out_scans_says_so() -> None:
    story = Story(check_every=50)
    story.add(Started(steps=90))
    story.add(Step(step=50, values={}))
    assert "first check" in sentence(story)  # it is told after the step
    story.add(Step(step=60, values={}))
    assert "too few labelled patients" in sentence(story)
    story.add(Epoch(step=60, values={"dice": 0.5}))
    assert sentence(story).endswith("best dice 0.50")


def test_the_end_says_why_unless_it_was_asked_for() -> None:
    begun = (Started(steps=9), Step(step=4, values={}))
    asked = told(*begun, Stopped(step=4, reason="asked for"))
    assert last_words(asked) == "Stopped at step 4; model kept"
    broken = told(*begun, Stopped(step=4, reason="the loss is not a number"))
    assert "(the loss is not a number)" in last_words(broken)
    assert last_words(told(*begun, Crashed(error="x"))) == "step 4 / 9"


def test_an_imported_run_is_no_training_that_ended_early() -> None:
    story = Story(check_every=50, imported="drasclr")
    story.add(Finished(step=0))
    said = "Not trained here: weights released with DrasCLR's own code"
    assert sentence(story) == said
    assert last_words(story) == "Ready to start a fine-tuning from"
