"""What a task is: all that the doors ask of one, typed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from scanlearn.config.offer import Offer
from scanlearn.errors import BadConfig, BadRun

if TYPE_CHECKING:
    from pydantic import BaseModel

    from scanlearn.cohort.catalogue import Cohort
    from scanlearn.config.run import RunConfig
    from scanlearn.encoders.encoder_kind import EncoderKind
    from scanlearn.engine.fitting import Fit
    from scanlearn.engine.recipe import Recipe
    from scanlearn.prediction.each_scan import Request, Tell
    from scanlearn.runs.folder import RunFolder
    from scanlearn.tasks.shared.evaluation import Evaluation


class Labels(Protocol):
    """Labels that were found and checked, of any task."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What the user should know of them."""
        ...

    @property
    def patient_keys(self) -> tuple[str, ...]:
        """Keys of the labelled patients, each once, in order."""
        ...

    @property
    def teaching_keys(self) -> tuple[str, ...]:
        """Keys of those that can be learned from, or tested on, alone."""
        ...

    def of(self, patients: Collection[str]) -> Labels:
        """Return the labels of some of them."""
        ...

    def save(self, folder: Path) -> None:
        """Write them whole into a folder, which becomes a run's ``inputs/``."""
        ...


class TrainingPlan(Protocol):
    """What a task decided after a look at a cohort and its labels."""

    def settings(self) -> dict[str, Any]:
        """Return it as settings of a run, in the sections of one."""
        ...

    def sentences(self) -> tuple[str, ...]:
        """Return what was decided, a sentence each, for the one who presses Start."""
        ...


@dataclass(frozen=True)
class PlanRequest:
    """What a plan depends on.

    Parameters
    ----------
    cohort, start_from
        Of the labelled scans, and the pre-training it starts from.
    changes
        What the user decided; the plan takes account of it.
    labels
        For the training, once they are known.
    labelled
        How many patients have some, as long as they are not.
    card
        Whether there is a graphics card.
    """

    cohort: Path
    start_from: Path | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    labels: Labels | None = None
    labelled: int | None = None
    card: bool = False


class Task(Protocol):
    """One thing that is learned from labels, and how it is used.

    A task is a room: its class stands in ``tasks/NAME/__init__.py`` and each method
    opens the file of that room that does the work, so that listing tasks needs no
    torch. Its part in the docks is a :class:`scanlearn.gui.tasks.dock_task.DockTask`.

    Attributes
    ----------
    offer
        How it is offered.
    worth
        What a start from a pre-training gave where it was measured, said where a start
        is chosen.
    least
        How many labelled patients a training needs.
    views
        Whether it can look at a scan in several ways and average.
    covariates
        Whether it can be told clinical numbers.
    doubts
        Whether it can say how little sure a run is of a scan.
    goes_on
        Whether a training can go on from a model of this task, with other labels.
    label_maps
        Whether it predicts a label map of each scan.
    """

    offer: Offer
    worth: str = ""
    least: int = 1
    views: bool = False
    covariates: bool = False
    doubts: bool = False
    goes_on: bool = False
    label_maps: bool = False

    def misfit(self, kind: EncoderKind, *, radiographs: bool) -> str:
        """Return why a training cannot start from an encoder; nothing where it can.

        Parameters
        ----------
        kind
            What the encoder sees.
        radiographs
            Whether the cohort's scans are single images.
        """
        return ""

    @abstractmethod
    def labels(self, source: Path, cohort: Cohort, config: RunConfig) -> Labels:
        """Find and check the labels of a cohort's scans.

        Raises
        ------
        BadLabels
            If they are not what the task takes, or fit no scan.
        """

    def plan(self, request: PlanRequest) -> TrainingPlan:
        """Decide how to train on a cohort; asked of tasks with the preset ``planned``.

        Raises
        ------
        BadConfig
            If the task plans nothing.
        BadCohort
            If the cohort cannot be planned for.
        """
        raise BadConfig(
            f"{self.offer.name} has no plan of its own",
            expected="a preset",
            next_step="Choose one of " + ", ".join(self.offer.presets),
        )

    @abstractmethod
    def learn(self, config: RunConfig, run: RunFolder) -> Recipe | Fit:
        """Build what a run trains step by step, or fits at once."""

    @abstractmethod
    def card(self, run: Path) -> BaseModel:
        """Read what a trained run says of its model.

        Raises
        ------
        BadRun
            If it has none yet.
        """

    @abstractmethod
    def predict(self, run: RunFolder, request: Request, tell: Tell) -> list[Path]:
        """Predict on scans and return the summaries written."""

    @abstractmethod
    def score(
        self,
        run: RunFolder,
        labels: Path,
        cohort: Cohort,
        tell: Tell,
        *,
        ignore_reference: bool = False,
    ) -> Evaluation:
        """Score a run against labels.

        ``ignore_reference`` takes DICOM labels that refer to another scan than the one
        they are for; it is asked of tasks whose section has that setting.
        """

    def doubt(
        self, run: RunFolder, cohort: Cohort, keys: Sequence[str], tell: Tell
    ) -> dict[str, float]:
        """Say of each scan how little sure the run is, from 0 to 1.

        Scans that it cannot look at are left out.

        Raises
        ------
        BadRun
            If the task cannot say (:attr:`doubts` is false).
        """
        raise BadRun(
            f"{run.name} learned {self.offer.name}, which tells no doubt of scans",
            expected="a task that does",
            next_step="Fine-tune a segmentation, a texture or a classification",
        )
