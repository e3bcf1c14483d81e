"""The label maps that a segmentation is trained or judged on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.segmentation import SegmentationConfig
from scanlearn.errors import BadLabels
from scanlearn.tasks.shared.label_maps import check_enough, collect_labels
from scanlearn.tasks.shared.label_set import LabelSet


def collect_maps(
    source: Path,
    cohort: Cohort,
    config: SegmentationConfig,
    *,
    known: Mapping[int, str] | None = None,
    ignore_reference: bool = False,
) -> LabelSet:
    """Find and check label maps as a segmentation's settings say."""
    return collect_labels(
        source,
        cohort,
        labelling=config.labelling,
        known=known or {one.value: one.name for one in config.classes},
        ignore_reference=ignore_reference or config.ignore_reference,
    )


def collect_training_maps(
    source: Path, cohort: Cohort, config: SegmentationConfig
) -> LabelSet:
    """Do as :func:`collect_maps`, without what a table keeps for testing.

    Raises
    ------
    BadLabels
        Also if a patient is in two splits, too little is left to train on, or none of
        the classes that were asked for is there.
    """
    labels = _among(collect_maps(source, cohort, config), config, source)
    kept = labels.for_training()
    tests = len(labels.items) - len(kept.items)
    if not tests:
        return kept
    voxels = (Counter(item.voxels) for item in kept.items)
    check_enough(sum(voxels, Counter[int]()), kept.names, source)
    remark = f"kept for testing: {tests} of {len(labels.items)} labelled scans"
    return replace(kept, remarks=(*kept.remarks, remark))


def _among(labels: LabelSet, config: SegmentationConfig, source: Path) -> LabelSet:
    """Compare the classes found with those that were asked for, if any were."""
    if not config.classes:
        return labels
    asked = {one.value: one.name for one in config.classes}
    lacking = [name for value, name in asked.items() if value not in labels.names]
    others = [name for value, name in labels.names.items() if value not in asked]
    if len(lacking) == len(asked):
        raise BadLabels(
            f"{source} holds {', '.join(others)}, none of the classes asked for",
            expected=f"the classes {', '.join(lacking)}",
            next_step="Name the classes as the labels do, or leave them unnamed.",
        )
    remarks = [f"{name} has no voxel in these labels" for name in lacking]
    remarks += [f"{name} is no class asked for: ignored" for name in others]
    return replace(labels, remarks=(*remarks, *labels.remarks))
