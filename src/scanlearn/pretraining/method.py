"""What a pre-training method is: all that the doors ask of one, typed."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Protocol

from scanlearn.config.offer import Offer
from scanlearn.errors import BadConfig

if TYPE_CHECKING:
    from scanlearn.config.run import RunConfig
    from scanlearn.engine.recipe import Recipe
    from scanlearn.runs.folder import RunFolder


class Method(Protocol):
    """One way to learn from scans without labels.

    A method is a room: its class stands in ``pretraining/NAME/__init__.py`` and opens
    the files of that room when they are needed, so that listing methods needs no torch.

    Attributes
    ----------
    offer
        How it is offered.
    can_start
        Whether it can take over the encoder of another run.
    atlas
        Whether its encoder knows places by an atlas, which can be shown on a scan.
    """

    offer: Offer
    can_start: bool = False
    atlas: bool = False

    @abstractmethod
    def check(self, config: RunConfig) -> None:
        """See that the cohorts can be learned from, before a run is written.

        Raises
        ------
        BadCohort
            If they cannot: none there, or too few patients.
        """

    def steps_a_pass(self, config: RunConfig) -> float:
        """Return how many batches it takes to see everything once.

        Asked where a dose is given in passes (``engine.passes``).

        Raises
        ------
        BadConfig
            If the method does not count passes.
        """
        raise BadConfig(
            f"{self.offer.name} counts no passes over the data",
            expected="engine.steps",
            next_step="Leave engine.passes out",
        )

    @abstractmethod
    def learn(self, config: RunConfig, run: RunFolder) -> Recipe:
        """Build what a run trains."""
