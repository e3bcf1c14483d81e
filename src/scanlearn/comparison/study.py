"""Making a comparison: its trainings one after another, resumable, and the verdict."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from scanlearn.app import train_run
from scanlearn.cohort.catalogue import Cohort
from scanlearn.comparison.picture import draw_curves
from scanlearn.comparison.plan import (
    ARMS,
    Draw,
    Training,
    draws,
    trainings,
    with_budgets,
)
from scanlearn.comparison.untrained import write_untrained
from scanlearn.comparison.verdict import Verdict, judge
from scanlearn.config.comparison import ComparisonConfig, parse_comparison
from scanlearn.config.run import RunConfig, load_yaml, merge, to_yaml
from scanlearn.errors import BadLabels, BadRun
from scanlearn.files import folder_beside, write_text
from scanlearn.new_run import finetuning_config, labels_for, new_finetuning
from scanlearn.runs.events import Crashed, Event, Finished, Step
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.shared.evaluation import Summary
from scanlearn.tasks.shared.label_set import LabelSet
from scanlearn.tasks.task import Labels, Task

Tell = Callable[[Event], None]

SETTINGS, SCORES, VERDICT, PICTURE = (
    "comparison.yaml",
    "scores.csv",
    "verdict.json",
    "curves.png",
)

#: Scores that are the better the lower they are, which no curve is drawn of.
_ERRORS = {"MAE"}

_COLUMNS = ("training", "arm", "budget", "repeat", "metric", "score")


class _Score(NamedTuple):
    metric: str
    value: float


class Comparison:
    """A comparison's folder.

    ::

        comparison.yaml   the settings; written once
        inputs/           the labels, taken when it was made
        tests/            those of the patients held out, for each repeat
        untrained/        for each repeat a run like the pre-training, with new weights
        trainings/        one run each
        scores.csv        grows as trainings end
        verdict.json      curves, the saving, sentences; and curves.png

    Parameters
    ----------
    path
        The folder.
    task
        What its trainings learn; that of its settings.
    """

    def __init__(self, path: Path, task: Task) -> None:
        self.path = Path(path).expanduser().absolute()
        if not (self.path / SETTINGS).is_file():
            raise BadRun(
                f"{self.path} is no comparison ({SETTINGS} is missing)",
                expected="a folder made by 'scanlearn compare'",
                next_step="Choose another folder",
            )
        self.config = parse_comparison(load_yaml(self.path / SETTINGS))
        self.task = task

    @classmethod
    def create(
        cls, path: Path, task: Task, config: ComparisonConfig, source: Path
    ) -> Comparison:
        """Check the settings and the labels, and write the folder.

        A comparison of the same settings at ``path`` is continued.

        Raises
        ------
        BadRun
            If ``path`` holds something else.
        BadLabels
            If the labels do not suffice for the budgets.
        """
        path = Path(path).expanduser().absolute()
        labels = labels_for(task, _training_config(task, config), source)
        config = with_budgets(config, labels.patient_keys, least=task.least)
        _drawn(task, config, labels)
        if path.exists():
            found = cls(path, task)
            if found.config != config:
                raise BadRun(
                    f"{path} holds a comparison with other settings",
                    next_step="Name another folder with --out",
                )
            return found
        with folder_beside(path) as draft:
            labels.save(draft / "inputs")
            write_text(draft / SETTINGS, to_yaml(config))
        return cls(path, task)

    def run(self, tell: Tell) -> Verdict:
        """Do what is still to be done; a repeat that is whole changes the verdict.

        Interrupted and called again, it goes on with the last checkpoint of the
        training that was in progress.

        Parameters
        ----------
        tell
            Called with the number of trainings done, of all.

        Raises
        ------
        BadRun
            If a training fails.
        """
        cohort = Cohort(self.config.cohort)
        settings = _training_config(self.task, self.config)
        labels = labels_for(self.task, settings, self.path / "inputs")
        planned = trainings(_drawn(self.task, self.config, labels), self.config)
        done = self._scores()
        for number, training in enumerate(planned):
            tell(_progress(number, len(planned)))
            if training.name in done:
                continue
            done[training.name] = self._score(training, labels, cohort)
            self._write_scores(planned, done)
            if self._is_whole(training):
                self._judge(planned, done)
        tell(_progress(len(planned), len(planned)))
        return self._judge(planned, done)

    def _score(self, training: Training, labels: Labels, cohort: Cohort) -> _Score:
        """Train, test on the patients held out, and drop what only resuming needs."""
        run = self._training(training, labels)
        _trained(run, self.task)
        tests = self.path / "tests" / f"repeat_{training.draw.repeat}"
        if not tests.exists():
            with folder_beside(tests) as draft:
                labels.of(training.draw.test).save(draft)
        found = self.task.score(run, tests, cohort, lambda event: None)
        if not set(found.mean) - _ERRORS:
            raise BadLabels(
                f"the {len(training.draw.test)} patients held out cannot be scored",
                expected="labels of more patients, which differ from each other",
                next_step="Label more patients, or hold more of them out",
            )
        metric, score = next(iter(found.mean.items()))
        for state in ("last", "best"):
            shutil.rmtree(run.checkpoints / state, ignore_errors=True)
        value = score.mean if isinstance(score, Summary) else float(score)
        return _Score(metric, value)

    def _training(self, training: Training, labels: Labels) -> RunFolder:
        """Return a training's run, made when it is not there yet."""
        path = self.path / "trainings" / training.name
        if path.exists():
            return RunFolder(path)
        start, repeat = self.config.start_from, training.draw.repeat
        if training.arm == "scratch":
            start = self.path / "untrained" / f"repeat_{repeat}"
            if not start.exists():
                write_untrained(
                    self.config.start_from,
                    start,
                    seed=repeat,
                    others=[self.config.cohort],
                )
        config = _training_config(self.task, self.config, start_from=start, seed=repeat)
        mine = labels.of(training.patients)
        if isinstance(mine, LabelSet):
            # Who is tested on gives no images either.
            mine = replace(mine, apart=training.draw.test)
        return new_finetuning(config, mine, path)

    def _is_whole(self, training: Training) -> bool:
        last = training.budget == self.config.budgets[-1]
        return last and training.arm == ARMS[-1]

    def _judge(self, planned: list[Training], done: dict[str, _Score]) -> Verdict:
        """Judge the repeats that are whole."""
        repeats = [
            repeat
            for repeat in range(self.config.repeats)
            if all(t.name in done for t in planned if t.draw.repeat == repeat)
        ]
        pretrained, scratch = (
            {
                budget: [
                    done[training.name].value
                    for training in planned
                    if (training.arm, training.budget) == (arm, budget)
                    and training.draw.repeat in repeats
                ]
                for budget in self.config.budgets
            }
            for arm in ARMS
        )
        metric = done[planned[0].name].metric
        verdict = judge(pretrained, scratch, score=metric)
        content = {
            "task": self.config.task,
            "metric": metric,
            "start_from": self.config.start_from.name,
            "repeats": len(repeats),
            **asdict(verdict),
        }
        write_text(self.path / VERDICT, json.dumps(content, indent=1))
        draw_curves(verdict, self.path / PICTURE, score=metric)
        return verdict

    def _scores(self) -> dict[str, _Score]:
        path = self.path / SCORES
        if not path.exists():
            return {}
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return {r["training"]: _Score(r["metric"], float(r["score"])) for r in rows}

    def _write_scores(self, planned: list[Training], done: dict[str, _Score]) -> None:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for t in planned:
            if t.name in done:
                who = (t.name, t.arm, t.budget, t.draw.repeat)
                writer.writerow((*who, done[t.name].metric, done[t.name].value))
        write_text(self.path / SCORES, text.getvalue())


def _drawn(task: Task, config: ComparisonConfig, labels: Labels) -> list[Draw]:
    """Draw who is trained and tested on."""
    return draws(
        labels.patient_keys, config, least=task.least, teaching=labels.teaching_keys
    )


def _training_config(
    task: Task,
    config: ComparisonConfig,
    *,
    start_from: Path | None = None,
    seed: int = 0,
) -> RunConfig:
    """Return the settings of a training: no patient of its few is held out of it."""
    own: dict[str, Any] = {"engine": {"seed": seed}}
    if "validation" in task.offer.config.model_fields:
        own["recipe"] = {"validation": 0.0}
    return finetuning_config(
        [config.cohort],
        task=task,
        preset_name=config.preset,
        start_from=start_from or config.start_from,
        changes=merge(dict(config.changes), own),
    )


def _trained(run: RunFolder, task: Task) -> None:
    """Train a run to its end, from where it stands, in this process.

    Whoever ends this process ends the training too, and its last checkpoint stays.
    """
    if isinstance(run.last_event(), Finished):
        return
    for event in train_run(run, task):
        if isinstance(event, Crashed):
            raise BadRun(
                f"The training {run.name} failed: {event.error}",
                next_step="Mend it, then start the comparison again: it goes on where "
                "it was",
            )
    if not isinstance(run.last_event(), Finished):
        raise BadRun(
            f"The training {run.name} was stopped",
            next_step="Start the comparison again: it goes on where it was",
        )


def _progress(done: int, total: int) -> Step:
    return Step(step=done, values={"total": float(total)})
