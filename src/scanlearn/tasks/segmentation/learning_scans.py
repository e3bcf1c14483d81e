"""The scans of a segmentation: which train, which judge, which have no labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scanlearn.cohort.working import IntensityUnits, WorkingCohorts, WorkingScan
from scanlearn.config.joint import TrunkConfig
from scanlearn.config.run import RunConfig
from scanlearn.config.segmentation import ClassConfig, SegmentationConfig
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.segmentation.earlier import EarlierSlices
from scanlearn.tasks.segmentation.labelled_scans import (
    classes_of,
    labelled_scans,
    split_patients,
)
from scanlearn.tasks.segmentation.self_training import SelfTraining, unlabelled_scans
from scanlearn.tasks.segmentation.whole_classes import is_one_body, whole_classes
from scanlearn.tasks.shared.label_set import LabelSet
from scanlearn.tasks.shared.label_tiles import LabelledScan
from scanlearn.tasks.shared.slice_start import SliceStart, slice_start


@dataclass(frozen=True)
class LearningScans:
    """What a segmentation learns from.

    Parameters
    ----------
    cohorts
        Where the scans are.
    classes
        Without the background.
    units
        What the intensities of the labelled scans mean.
    training, held_out
        The labelled scans that train, and those that judge.
    whole
        Numbers of the classes of which a prediction keeps the largest piece.
    together
        Whether all classes together are one piece.
    others
        The scans without labels, if they are learned from, too.
    """

    cohorts: WorkingCohorts
    classes: tuple[ClassConfig, ...]
    units: IntensityUnits
    training: list[LabelledScan]
    held_out: list[LabelledScan]
    whole: tuple[int, ...]
    together: bool
    others: SelfTraining | None


def learning_scans(
    config: SegmentationConfig,
    labels: LabelSet,
    cohorts: WorkingCohorts,
    *,
    units_of: Callable[[Sequence[WorkingScan]], IntensityUnits],
    seed: int,
    run: Path,
) -> LearningScans:
    """Read the labelled scans, hold some out, and find those without labels.

    Parameters
    ----------
    config, labels, cohorts
        Settings, labels and scans of the training.
    units_of
        Says what the intensities of the labelled scans mean; refuses what the encoder
        does not know.
    seed
        Of the training, which chooses whom to hold out.
    run
        Folder of the run, which keeps the labels that it makes itself.
    """
    classes = config.classes or classes_of(labels)
    scans = labelled_scans(labels, cohorts, classes)
    units = units_of([cohorts.scans[scan.number] for scan in scans])
    training, held_out = split_patients(scans, share=config.validation, seed=seed)
    others = None
    if config.unlabelled:
        apart = {*labels.apart, *(scan.patient for scan in held_out)}
        numbers = unlabelled_scans(cohorts, scans, units, apart=apart)
        others = SelfTraining(cohorts, numbers, run / "labelled_by_itself")
    keep = config.keep_largest
    return LearningScans(
        cohorts=cohorts,
        classes=classes,
        units=units,
        training=training,
        held_out=held_out,
        whole=whole_classes(training, len(classes)) if keep else (),
        together=keep and is_one_body(training),
        others=others,
    )


def slice_beginning(
    config: RunConfig, run: RunFolder
) -> tuple[EarlierSlices | None, SliceStart, LearningScans]:
    """Load the segmenter to go on from, if any, the encoder, and the scans."""
    section = config.section(SegmentationConfig)
    fresh = TrunkConfig(architecture="small", width=section.width)
    earlier = EarlierSlices.of(config.start_from)
    start = earlier.start() if earlier else slice_start(config.start_from, fresh)
    scans = learning_scans(
        section,
        LabelSet.load(run.inputs).for_training(),
        WorkingCohorts(config.cohorts, None),
        units_of=start.units_of,
        seed=config.engine.seed,
        run=run.path,
    )
    return earlier, start, scans
