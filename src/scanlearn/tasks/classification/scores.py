"""How well a run classifies images: per class, with intervals over patients."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.classification import ClassificationConfig
from scanlearn.errors import BadLabels
from scanlearn.metrics.class_scores import (
    intervals,
    judged,
    mean_scores,
    scores_of_classes,
)
from scanlearn.prediction.each_scan import Tell
from scanlearn.runs.events import Step
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.classification.card import ClassifierCard
from scanlearn.tasks.classification.classifier import Classifier
from scanlearn.tasks.classification.labelled_images import LabelledImages, targets_of
from scanlearn.tasks.classification.labels import (
    ImageLabel,
    ImageLabels,
    collect_image_labels,
)
from scanlearn.tasks.shared.evaluation import Evaluation, Summary, remark_on_few

#: Images with or without a finding that are too few to tell how well it is seen.
_FEW_IMAGES = 10

#: Stands for the means where classes have their names, of which none is empty.
_MEAN = ""

_Row = dict[str, Summary | float]


def evaluate_classification(
    run: RunFolder, labels: Path, cohort: Cohort, tell: Tell
) -> Evaluation:
    """Classify labelled images and compare.

    Images of patients that the run was trained on are left out; where there are no
    others, the training's own scores on held-out patients are given.

    Raises
    ------
    BadLabels
        If the labels have classes that were not learned.
    """
    classifier = Classifier(run.path)
    card, config = classifier.card, run.config()
    kind = "several" if card.several else "exclusive"
    settings = config.section(ClassificationConfig)
    asked = settings.model_copy(update={"kind": kind})
    found = collect_image_labels(labels, cohort, asked)
    _check_classes(found, card)
    trained = ImageLabels.load(run.inputs).items
    seen = {item.patient for item in trained if item.split != "test"}
    fresh = [item for item in found.items if item.patient not in seen]
    if not fresh:
        return _of_training(run, card)
    shares = _classified(classifier, cohort, fresh, tell)
    truth = targets_of(fresh, card.classes)
    remarks = [
        *remark_on_few(item.patient for item in fresh),
        *_few_images(truth, card),
        f"Sensitivity and specificity at a probability of {card.threshold:g}; classes "
        "weigh alike in the training, however rare",
    ]
    left = len(found.items) - len(fresh)
    if left:
        remarks.append(f"{left} images of patients trained on: left out")
    mean, classes = _scores(truth, shares, fresh, card, seed=config.engine.seed)
    return Evaluation(
        task="classification",
        run=run.name,
        mean=mean,
        classes=classes,
        cases=_cases(fresh, shares, card),
        remarks=remarks,
        more={"threshold": card.threshold, "held_out_in_training": card.held_out},
    )


def _check_classes(found: ImageLabels, card: ClassifierCard) -> None:
    unknown = [name for name in found.classes if name not in card.classes]
    if unknown:
        raise BadLabels(
            f"The labels have the class '{unknown[0]}', which was not learned",
            expected=", ".join(card.classes),
            next_step="Correct the labels, or choose another run",
        )


def _classified(
    classifier: Classifier, cohort: Cohort, items: Sequence[ImageLabel], tell: Tell
) -> NDArray[np.float64]:
    for item in items:
        units = cohort.record(item.scan).intensity.units
        if units != classifier.card.units:
            raise BadLabels(
                f"The intensities of {item.scan} are {units}",
                expected=f"{classifier.card.units}, as of the training images",
                next_step="Evaluate on images of the same kind",
            )
    card = classifier.card
    truth = targets_of(items, card.classes)
    images = LabelledImages(cohort, tuple(items), truth, card.side)
    parts = []
    for rows in images.batches():
        x = images.stack(rows, classifier.device)
        parts.append(classifier.probabilities(x))
        tell(Step(step=rows[-1] + 1, values={"total": float(len(items))}))
    return np.concatenate(parts)


def _scores(
    truth: NDArray[np.bool_],
    shares: NDArray[np.float64],
    items: Sequence[ImageLabel],
    card: ClassifierCard,
    *,
    seed: int,
) -> tuple[_Row, dict[str, _Row]]:
    """Return the means over classes, and the scores of each, with intervals."""

    def score(rows: NDArray[np.int_]) -> dict[str, float]:
        some = scores_of_classes(
            truth[rows],
            shares[rows],
            card.classes,
            several=card.several,
            threshold=card.threshold,
        )
        flat = {f"{_MEAN}\n{k}": value for k, value in mean_scores(some).items()}
        for name, row in some.items():
            flat |= {f"{name}\n{metric}": value for metric, value in row.items()}
        return flat

    ends = intervals(score, [item.patient for item in items], seed=seed)
    patients = len({item.patient for item in items})
    mean: _Row = {}
    classes: dict[str, _Row] = {}
    for key, value in score(np.arange(len(items))).items():
        low, high = ends.get(key, (None, None))
        whose, metric = key.split("\n")
        row = mean if whose == _MEAN else classes.setdefault(whose, {})
        row[metric] = Summary(value, None, low, high, patients)
    return mean, classes


def _few_images(truth: NDArray[np.bool_], card: ClassifierCard) -> list[str]:
    said = []
    for k in judged(card.classes, several=card.several):
        shown = int(truth[:, k].sum())
        if min(shown, len(truth) - shown) < _FEW_IMAGES:
            said.append(
                f"Only {shown} images with and {len(truth) - shown} without "
                f"'{card.classes[k]}': its scores are rough"
            )
    return said


def _of_training(run: RunFolder, card: ClassifierCard) -> Evaluation:
    mean: _Row = dict(card.held_out)
    few = remark_on_few(str(n) for n in range(card.patients))
    said = (
        "All these patients were trained on: the scores are the training's own, on "
        "patients that it held out"
    )
    return Evaluation("classification", run.name, mean, {"all": mean}, [], [*few, said])


def _cases(
    items: Sequence[ImageLabel], shares: NDArray[np.float64], card: ClassifierCard
) -> list[dict[str, Any]]:
    return [
        {
            "scan": item.scan,
            "patient": item.patient,
            "label": list(item.classes),
            "probabilities": dict(zip(card.classes, row.tolist(), strict=True)),
        }
        for item, row in zip(items, shares, strict=True)
    ]
