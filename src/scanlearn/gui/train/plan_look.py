"""What a planned training decides, looked up while the dock is filled in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from qtpy.QtCore import QObject, Signal

from scanlearn.gui.kit.background import Failure, Report, in_background
from scanlearn.tasks.registry import task_named
from scanlearn.tasks.task import PlanRequest, TrainingPlan


@dataclass(frozen=True)
class Question:
    """What is asked of a task's plan; it is looked at in a thread."""

    task: str
    request: PlanRequest

    def plan(self, _report: Report) -> TrainingPlan:
        """Return the plan; slow the first time."""
        return task_named(self.task).plan(self.request)


class PlanLook(QObject):
    """Looks for the plan of what the dock says now; the last question counts.

    A cohort that cannot be planned for has no plan: Start tells why.
    """

    #: A :class:`TrainingPlan`, or None where there is none.
    found = Signal(object)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._asked: Question | None = None

    def ask(self, question: Question | None) -> None:
        """Ask anew, where the question is another one; None forgets the answer."""
        if question == self._asked:
            return
        self._asked = question
        if question is None:
            self.found.emit(None)
            return
        in_background(
            self,
            question.plan,
            done=partial(self._answer, question),
            failed=partial(self._fail, question),
        )

    def _answer(self, question: Question, plan: TrainingPlan) -> None:
        if question == self._asked:
            self.found.emit(plan)

    def _fail(self, question: Question, _failure: Failure) -> None:
        if question == self._asked:
            self.found.emit(None)
