"""Learning texture classes: describe the labelled places, fit, score on others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.run import RunConfig
from scanlearn.config.segmentation import ClassConfig
from scanlearn.config.texture import TextureConfig
from scanlearn.engine.fitting import Fit
from scanlearn.errors import BadLabels
from scanlearn.features.describer import Describer
from scanlearn.features.describer_choice import describer_for
from scanlearn.features.folds import usable_folds
from scanlearn.features.linear import fit_logistic
from scanlearn.runs.events import Event, Message
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.texture.card import TextureCard, save_texture
from scanlearn.tasks.texture.labels import Place, PlaceSet

Floats = NDArray[np.float32]


class TextureFit(Fit):
    """Frozen features of labelled places and a logistic regression on them.

    Parameters
    ----------
    config
        The whole configuration; its recipe is a :class:`TextureConfig`.
    run
        Where the labels taken at launch are.
    """

    def __init__(self, config: RunConfig, run: RunFolder) -> None:
        self.config, self.seed = config.section(TextureConfig), config.engine.seed
        self.cohort = config.cohorts[0]
        saved = PlaceSet.load(run.inputs)
        self.places = [place for place in saved.places if place.split != "test"]
        self.classes = saved.classes
        self.start = config.start_from
        spacing = Cohort(self.cohort).record(self.places[0].scan).spacing_mm
        features, self.describer = describer_for(
            self.start,
            run.path,
            patch_mm=self.config.patch_mm,
            spacing_mm=spacing,
            turned=self.config.turned,
        )
        self.penalty = self.config.penalty or self.describer.penalty
        counts = [
            sum(p.label == one.value for p in self.places) for one in self.classes
        ]
        self.card = TextureCard(
            features=features,
            turned=self.config.turned and features == "slices",
            patch_mm=self.config.patch_mm,
            spacing_mm=spacing,
            stride_mm=self.config.stride_mm,
            classes=self.classes,
            labels=tuple(counts),
            pretrained=self.start.name if self.start is not None else "",
        )
        self.keys = {place.scan for place in self.places}
        self._places: list[Place] = []
        self._features: list[Floats] = []

    @property
    def parts(self) -> int:
        """How many scans have labels."""
        return len(self.keys)

    def messages(self) -> list[Message]:
        """Say what describes the places."""
        what = {
            "patches": "the frozen encoder of patches",
            "slices": "the frozen encoder of slices",
            "handmade": "densities and texture, without an encoder",
        }[self.card.features]
        text = f"{len(self.places)} places are described by {what}"
        return [Message(text=text), *never_learned(self.card)]

    def work(self) -> Iterator[Message | None]:
        """Describe the labelled places scan by scan."""
        for message, places, features in describe(
            self.describer, self.cohort, self.places
        ):
            self._places += places
            self._features.append(features)
            yield message

    def finish(self) -> dict[str, float]:
        """Fit the model on all places; returns the score on held-out patients."""
        if not self._places:
            raise BadLabels(
                "None of the labelled scans could be described",
                expected="scans of the kind that the encoder was trained on",
                next_step="Look at the remarks above",
            )
        x = np.concatenate(self._features)
        y = class_numbers(self._places, self.classes)
        lost = [
            one.name
            for number, one in enumerate(self.classes)
            if self.card.labels[number] and number not in y
        ]
        if lost:
            raise BadLabels(
                f"No place of the class '{lost[0]}' is left",
                expected="a place of every class on scans that can be used",
                next_step="Label another scan",
            )
        count = len(self.classes)
        self.model = fit_logistic(x, y, penalty=self.penalty, count=count)
        patients = [place.patient for place in self._places]
        guess = held_out(x, y, patients, folds=self.config.folds, penalty=self.penalty)
        if guess is None:
            return {}
        from sklearn.metrics import balanced_accuracy_score

        return {"balanced accuracy": float(balanced_accuracy_score(y, guess))}

    def export(self, folder: Path) -> None:
        """Write the model beside a copy of its encoder."""
        self.describer.save(folder)
        save_texture(folder, self.model, self.card)


def never_learned(card: TextureCard) -> list[Message]:
    """Say which classes have no labelled place, so that none will be found."""
    names = [
        one.name for one, n in zip(card.classes, card.labels, strict=True) if not n
    ]
    if not names:
        return []
    text = f"No place is labelled {', '.join(names)}: it will never be found"
    return [Message(text=text, severity="warning")]


def describe(
    describer: Describer, cohort: Path, places: Sequence[Place]
) -> Iterator[tuple[Message | None, list[Place], Floats]]:
    """Yield the places of each scan with their features, and what to say of it."""
    of_scan: dict[str, list[Place]] = {}
    for place in places:
        of_scan.setdefault(place.scan, []).append(place)
    told: list[Event] = []
    for scan in describer.from_cohort(cohort, of_scan.keys(), told):
        mine = of_scan[scan.key]
        features = describer.at(scan, [place.point for place in mine])
        said = [event.text for event in told if isinstance(event, Message)]
        told.clear()
        message = Message(text="\n".join(said), severity="warning") if said else None
        yield message, mine, features


def class_numbers(
    places: Sequence[Place], classes: Sequence[ClassConfig]
) -> NDArray[np.int_]:
    """Return the position of each place's class."""
    number = {one.value: index for index, one in enumerate(classes)}
    return np.array([number[place.label] for place in places])


def held_out(
    x: Floats,
    y: NDArray[np.int_],
    patients: Sequence[str],
    *,
    folds: int,
    penalty: float,
) -> NDArray[np.int_] | None:
    """Predict each place by a model of the other folds' patients.

    None where no patient can be spared: some class would be left without any place.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    folds = usable_folds(folds, y, patients)
    if folds < 2:
        return None
    guess = np.full(len(y), -1)
    # Not shuffled: the folds are a function of the labels alone.
    for train, test in StratifiedGroupKFold(folds).split(x, y, patients):
        if len(set(y[train].tolist())) < len(set(y.tolist())):
            return None
        model = fit_logistic(
            x[train], y[train], penalty=penalty, count=int(y.max()) + 1
        )
        guess[test] = model.scores(x[test]).argmax(axis=1)
    return guess
