"""Segmenting any number of scans with a fine-tuned run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from scanlearn.cohort.catalogue import Cohort
from scanlearn.errors import BadScan
from scanlearn.prediction.each_scan import Request, Tell, each_scan
from scanlearn.prediction.uncertainty import PROBABILITY_STEPS, entropy
from scanlearn.runs.events import Message, Step
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.segmentation.segmentation_files import save_segmentation
from scanlearn.tasks.segmentation.segmenter import SegmentedScan, segmenter_of

#: Voxels that are background with at least this probability are no one's question.
_SURE = 0.98


def predict_segmentations(run: RunFolder, request: Request, tell: Tell) -> list[Path]:
    """Segment every scan of a request; see :func:`save_segmentation` for the files."""
    segment = partial(
        segmenter_of(run.path).segment, overlap=request.overlap, views=request.views
    )
    return each_scan(run, request, segment, save_segmentation, tell)


def doubt_of_segmentations(
    run: RunFolder, cohort: Cohort, keys: Sequence[str], tell: Tell
) -> dict[str, float]:
    """Return how little sure a run is of each scan; see :func:`doubt_of`.

    A scan that the run cannot look at is told and left out.
    """
    segmenter = segmenter_of(run.path)
    found = {}
    for number, key in enumerate(keys, start=1):
        try:
            found[key] = doubt_of(segmenter.segment(cohort.scan(key)))
        except BadScan as error:
            tell(Message(text=f"{key}: {error}", severity="warning"))
        tell(Step(step=number, values={"total": float(len(keys))}))
    return found


def doubt_of(found: SegmentedScan) -> float:
    """Return the mean entropy of the classes where they are in question.

    1 is an even guess between all classes. Voxels that are surely background do not
    count, so that a large field of view makes no scan look easy.
    """
    asked = found.probabilities[0] < _SURE * PROBABILITY_STEPS
    if not asked.any():
        return 0.0
    return float(entropy(found.probabilities[:, asked]).mean())
