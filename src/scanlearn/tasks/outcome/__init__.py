"""Outcome: a number, a class or survival of each patient.

Here stands what the task is and which file of this room does what.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from scanlearn.config.offer import Offer
from scanlearn.config.outcome import FEWEST_PATIENTS, OutcomeConfig
from scanlearn.tasks.outcome.presets import PRESETS
from scanlearn.tasks.task import Task

if TYPE_CHECKING:
    from scanlearn.cohort.catalogue import Cohort
    from scanlearn.config.run import RunConfig
    from scanlearn.engine.fitting import Fit
    from scanlearn.prediction.each_scan import Request, Tell
    from scanlearn.runs.folder import RunFolder
    from scanlearn.tasks.outcome.card import OutcomeCard
    from scanlearn.tasks.outcome.labels import OutcomeSet
    from scanlearn.tasks.shared.evaluation import Evaluation


class OutcomeTask(Task):
    """Predicts what becomes of patients, from their scans."""

    offer = Offer(
        title="Outcome of patients",
        about="a number, a class or survival of each patient, from a table",
        short="outcome",
        config=OutcomeConfig,
        presets=PRESETS,
        settings=("recipe.folds", "engine.seed"),
    )
    worth = (
        "Measured on chest phantoms: a DrasCLR pre-training told how severe "
        "emphysema is better than lung densities did, lung function and survival "
        "not."
    )
    least = FEWEST_PATIENTS
    covariates = True

    def labels(self, source: Path, cohort: Cohort, config: RunConfig) -> OutcomeSet:
        """Find and check a column of a table."""
        from scanlearn.tasks.outcome.labels import collect_outcomes

        settings = config.section(OutcomeConfig)
        return collect_outcomes(source, cohort, settings)

    def learn(self, config: RunConfig, run: RunFolder) -> Fit:
        """Build linear models of the vectors of patients."""
        from scanlearn.tasks.outcome.learn import OutcomeFit

        return OutcomeFit(config, run)

    def card(self, run: Path) -> OutcomeCard:
        """Read what a trained run says of its model."""
        from scanlearn.tasks.outcome.card import read_outcome_card

        return read_outcome_card(run)

    def predict(self, run: RunFolder, request: Request, tell: Tell) -> list[Path]:
        """Write a row a scan."""
        from scanlearn.tasks.outcome.predict import predict_outcomes

        return predict_outcomes(run, request, tell)

    def score(
        self,
        run: RunFolder,
        labels: Path,
        cohort: Cohort,
        tell: Tell,
        *,
        ignore_reference: bool = False,
    ) -> Evaluation:
        """Score patients, baselines beside them."""
        from scanlearn.tasks.outcome.scores import evaluate_outcome

        return evaluate_outcome(run, labels, cohort, tell)
