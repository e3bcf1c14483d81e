"""Which trainings a comparison needs, and on whom."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from scanlearn.config.comparison import ComparisonConfig
from scanlearn.errors import BadLabels
from scanlearn.randomness import numpy_generator

Arm = Literal["pretrained", "scratch"]
ARMS: tuple[Arm, ...] = ("pretrained", "scratch")


@dataclass(frozen=True)
class Draw:
    """The patients of one repeat.

    Parameters
    ----------
    repeat
        Its number.
    test
        Held out from every training of the repeat.
    order
        The others: a training with n labelled patients has the first n, so that
        smaller label sets lie inside larger ones.
    """

    repeat: int
    test: tuple[str, ...]
    order: tuple[str, ...]


@dataclass(frozen=True)
class Training:
    """One training of a comparison."""

    arm: Arm
    budget: int
    draw: Draw

    @property
    def name(self) -> str:
        """Name of its run, such as ``pretrained_05_repeat_1``."""
        return f"{self.arm}_{self.budget:02d}_repeat_{self.draw.repeat}"

    @property
    def patients(self) -> tuple[str, ...]:
        """Whose labels it sees."""
        return self.draw.order[: self.budget]


#: Budgets that are tried when none are asked for, as far as labels go.
_USUAL = (1, 2, 5, 10, 20, 50)


def with_budgets(
    config: ComparisonConfig, patients: Sequence[str], *, least: int
) -> ComparisonConfig:
    """Return the settings with budgets: those asked for, else what labels allow.

    ``least`` is how many labelled patients the task needs.
    """
    if config.budgets:
        return config
    most = len(set(patients)) - _tested(patients, config)
    found = tuple(b for b in _USUAL if least <= b <= most) or (least,)
    return config.model_copy(update={"budgets": found})


def draws(
    patients: Sequence[str],
    config: ComparisonConfig,
    *,
    least: int,
    teaching: Collection[str],
) -> list[Draw]:
    """Draw, for each repeat, who is tested on and the order of the others.

    Parameters
    ----------
    patients
        Those with labels.
    config
        How many are tested on, how often it is drawn.
    least
        How many labelled patients the task needs.
    teaching
        Who can be learned from, or tested on, alone. One of them is in each test, and
        one is the first of each order.

    Raises
    ------
    BadLabels
        If the patients do not suffice for the largest budget and a test, or the
        smallest budget not for the task.
    """
    known = sorted(set(patients))
    tested = _tested(known, config)
    most = len(known) - tested
    if config.budgets[0] < least:
        raise BadLabels(
            f"a training of the task {config.task} needs {least} labelled patients: "
            f"one with {config.budgets[0]} cannot be made",
            expected=f"budgets of {least} to {max(most, least)}",
            next_step="Ask for larger budgets (--budgets)",
        )
    if config.budgets[-1] > most:
        raise BadLabels(
            f"labels of {len(known)} patients, of whom {tested} are held out for the "
            f"test: a training with {config.budgets[-1]} cannot be made",
            expected=f"budgets of at most {max(most, 0)}",
            next_step="Label more patients, or ask for smaller budgets (--budgets)",
        )
    found = []
    for repeat in range(config.repeats):
        order = numpy_generator(config.seed, "comparison", repeat).permutation(known)
        names = [str(name) for name in order]
        _put_teachers_first(names, tested, teaching)
        found.append(Draw(repeat, tuple(sorted(names[:tested])), tuple(names[tested:])))
    return found


def trainings(found: Sequence[Draw], config: ComparisonConfig) -> list[Training]:
    """Return every training: a repeat whole before the next, so that all arms grow.

    After the first repeat there is a curve to look at.
    """
    return [
        Training(arm, budget, draw)
        for draw in found
        for budget in config.budgets
        for arm in ARMS
    ]


def _put_teachers_first(
    names: list[str], tested: int, teaching: Collection[str]
) -> None:
    """Exchange as few names as need be for a teacher at the head of both parts."""
    test = [name for name in names[:tested] if name in teaching]
    others = [name for name in names[tested:] if name in teaching]
    if len(test) + len(others) < 2:
        raise BadLabels(
            f"only {len(test) + len(others)} of {len(names)} labelled patients can be "
            "learned from, or tested on, alone",
            expected="two: for the nodules of a detection, patients who have one",
            next_step="Label more such patients",
        )

    def exchange(place: int, name: str) -> None:
        other = names.index(name)
        names[place], names[other] = names[other], names[place]

    if not test:
        exchange(0, others.pop())  # the last, who stands in no small budget
    if not others:
        exchange(tested, test.pop())
    elif names[tested] not in teaching:
        exchange(tested, others[0])


def _tested(patients: Sequence[str], config: ComparisonConfig) -> int:
    return max(1, round(config.test * len(set(patients))))
