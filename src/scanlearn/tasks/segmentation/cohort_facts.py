"""What a plan of a segmentation must know of a cohort and its labels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.segmentation_plan import CohortFacts
from scanlearn.encoders.encoder_kind import encoder_kind
from scanlearn.errors import BadCohort
from scanlearn.tasks.shared.earlier_model import model_kind
from scanlearn.tasks.shared.label_set import LabelSet


def segmentation_facts(
    cohort: Cohort,
    labels: LabelSet | None,
    *,
    start_from: Path | None = None,
    card: bool = False,
) -> CohortFacts:
    """Look at a cohort's volumes, and at their labels where they are known.

    Parameters
    ----------
    cohort
        Of the labelled scans.
    labels
        For the training.
    start_from
        The pre-training, or the segmentation, whose encoder is taken over.
    card
        Whether there is a graphics card.

    Raises
    ------
    BadCohort
        If the cohort holds no usable volume.
    """
    volumes = [record for record in cohort.records() if not record.is_radiograph]
    if not volumes:
        raise BadCohort(
            f"{cohort.path} holds no usable volume",
            expected="at least one prepared scan that is not excluded",
            next_step="Look at its catalogue.csv",
        )
    named = {item.scan for item in labels.items} if labels else set()
    apart = set(labels.apart) if labels else set()
    free = [v for v in volumes if v.key not in named and v.patient not in apart]
    units = Counter(v.intensity.units for v in volumes if v.key in named or not named)
    spacing = np.median([volume.spacing_mm for volume in volumes], axis=0).tolist()
    shape = np.median([volume.shape for volume in volumes], axis=0).astype(int).tolist()
    return CohortFacts(
        spacing_mm=(spacing[0], spacing[1], spacing[2]),
        shape=(shape[0], shape[1], shape[2]),
        units=units.most_common(1)[0][0],
        labelled=len(labels.patient_keys) if labels else None,
        unlabelled=len(free),
        encoder=_encoder(start_from),
        card=card,
    )


def _encoder(run: Path | None) -> Literal["", "slices", "patches"]:
    """Return what the encoder of a run sees; nothing where there is none yet."""
    kind = None if run is None else encoder_kind(run) or model_kind(run)
    return "patches" if kind == "dense" else kind or ""
