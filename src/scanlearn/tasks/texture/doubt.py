"""How little sure a texture model is of scans, for the choice of the next to label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scanlearn.cohort.catalogue import Cohort
from scanlearn.features.describer import Describer, Floats
from scanlearn.prediction.each_scan import Tell
from scanlearn.prediction.representation.encoder_scans import EncoderScan
from scanlearn.prediction.uncertainty import PROBABILITY_STEPS, entropy
from scanlearn.runs.events import Event, Step
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.texture.card import load_texture

#: Places lie so many times as far apart as those of a map: a mean needs fewer.
_SPARSER = 2


def doubt_of_textures(
    run: RunFolder, cohort: Cohort, keys: Sequence[str], tell: Tell
) -> dict[str, float]:
    """Return the mean entropy of the classes over the lungs of each scan.

    1 is an even guess everywhere. A scan without lungs, or that the encoder cannot
    place, is left out; a 2D patch counts as one place.
    """
    describer, model, card = load_texture(run.path)
    told: list[Event] = []
    found = {}
    scans = describer.from_cohort(cohort.path, set(keys), told)
    for number, scan in enumerate(scans, start=1):
        features = _described(describer, scan, _SPARSER * card.stride_mm)
        if len(features):
            shares = model.probabilities(features).T * PROBABILITY_STEPS
            found[scan.key] = float(entropy(np.rint(shares).astype(np.uint8)).mean())
        tell(Step(step=number, values={"total": float(len(keys))}))
    for event in told:
        tell(event)
    return found


def _described(describer: Describer, scan: EncoderScan, stride_mm: float) -> Floats:
    """Return features (n, d) of places all over the lungs."""
    if scan.grid.shape[0] == 1:
        return describer.at(scan, [None])
    places = describer.everywhere(scan, stride_mm, lambda done, total: None)
    return places.features[:, places.known].T
