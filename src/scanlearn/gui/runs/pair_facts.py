"""What two runs have in common and what not; no Qt in here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from scanlearn.config.flat import differences
from scanlearn.gui.shared.run_list import RunRow
from scanlearn.gui.shared.story import Story
from scanlearn.runs import RunFolder
from scanlearn.runs.evaluations import kept_evaluations

#: A line of a table: what, of the one, of the other.
Line = tuple[str, str, str]


@dataclass(frozen=True)
class PairFacts:
    """Two runs, read.

    Parameters
    ----------
    stories
        Of both, with all their curves.
    settings
        Those that differ.
    scores
        All that either has.
    """

    stories: tuple[Story, Story]
    settings: tuple[Line, ...]
    scores: tuple[Line, ...]

    @property
    def curves(self) -> list[str]:
        """Names of the curves, those that both have first."""
        one, other = (set(story.curves) for story in self.stories)
        order = [*self.stories[0].curves, *self.stories[1].curves]
        names = list(dict.fromkeys(order))
        return sorted(names, key=lambda name: not (name in one and name in other))


def read_pair(one: RunRow, other: RunRow) -> PairFacts:
    """Read two runs; slow for long ones."""
    folders = RunFolder(one.path), RunFolder(other.path)
    stories = tuple(_story(folder) for folder in folders)
    found = differences(folders[0].config(), folders[1].config())
    settings = tuple((name, *values) for name, values in found.items())
    scored = [_scores(f, s) for f, s in zip(folders, stories, strict=True)]
    names = dict.fromkeys([*scored[0], *scored[1]])
    scores = tuple(
        (name, scored[0].get(name, "–"), scored[1].get(name, "–")) for name in names
    )
    return PairFacts((stories[0], stories[1]), settings, scores)


def _story(run: RunFolder) -> Story:
    story = Story()
    for event in run.events():
        story.add(event)
    return story


def _scores(run: RunFolder, story: Story) -> dict[str, str]:
    """Return validation and kept evaluations, each with the cohort it was made on."""
    found = {f"validation: {k}": f"{v:.3f}" for k, v in story.best.items()}
    for one in kept_evaluations(run):
        for name, score in one["mean"].items():
            found[f"on {one['cohort']}: {name}"] = _text(score)
    return found


def _text(score: object) -> str:
    if not isinstance(score, Mapping):
        return "–" if score is None else f"{score:.3f}"
    low, high = score["low"], score["high"]
    interval = "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"
    return f"{score['mean']:.3f}{interval}"
