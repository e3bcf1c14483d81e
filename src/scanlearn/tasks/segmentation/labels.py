"""The label maps that a segmentation is trained or judged on."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.segmentation import SegmentationConfig
from scanlearn.tasks.shared.label_maps import check_enough, collect_labels
from scanlearn.tasks.shared.label_set import LabelSet


def collect_maps(source: Path, cohort: Cohort, config: SegmentationConfig) -> LabelSet:
    """Find and check label maps as a segmentation's settings say."""
    return collect_labels(source, cohort, labelling=config.labelling)


def collect_training_maps(
    source: Path, cohort: Cohort, config: SegmentationConfig
) -> LabelSet:
    """Do as :func:`collect_maps`, without what a table keeps for testing.

    Raises
    ------
    BadLabels
        Also if a patient is in two splits, or too little is left to train on.
    """
    labels = collect_maps(source, cohort, config)
    kept = labels.for_training()
    tests = len(labels.items) - len(kept.items)
    if not tests:
        return kept
    voxels = (Counter(item.voxels) for item in kept.items)
    check_enough(sum(voxels, Counter[int]()), source)
    remark = f"kept for testing: {tests} of {len(labels.items)} labelled scans"
    return replace(kept, remarks=(*kept.remarks, remark))
