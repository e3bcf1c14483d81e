"""Label maps in: masks in any format of images, DICOM-SEG and RT-STRUCT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from scanlearn.errors import BadLabels, ScanlearnError
from scanlearn.scans.files.signatures import cause_of
from scanlearn.scans.find import kind_of
from scanlearn.scans.formats import NRRD
from scanlearn.scans.geometry import Grid
from scanlearn.scans.labels.label_arrays import (
    LabelArray,
    LabelMap,
    as_labels,
    lay_onto,
)
from scanlearn.scans.labels.label_names import nifti_label_names
from scanlearn.scans.labels.label_reference import (
    CONTOUR_CLASSES,
    SEGMENTATION_CLASSES,
    label_class,
)
from scanlearn.scans.labels.seg_nrrd import (
    Segment,
    count_channels,
    read_segments,
    segment_labels,
)
from scanlearn.scans.scan import Problem

_Kind = Literal["image", "seg", "rtstruct"]

_JOIN = (
    "Join channels that hold a class each (one-hot) into one volume, such as by "
    "argmax, or save a file a class."
)


def read_label_map(path: Path, *, like: Grid | None = None) -> tuple[LabelArray, Grid]:
    """Read a label map, laid onto the grid of its scan if that is given.

    As :func:`read_named_labels`, without names and notes.

    Returns
    -------
    tuple
        Labels, uint8 or uint16, and their grid (``like`` itself where given).
    """
    found = read_named_labels(path, like=like)
    return found.labels, found.grid


def read_named_labels(path: Path, *, like: Grid | None = None) -> LabelMap:
    """Read a label map with the names that it states, laid onto the grid of its scan.

    Parameters
    ----------
    path
        A mask in any format of images, an array (``.npy``) of the scan's shape, a
        DICOM-SEG or RT-STRUCT file, or a folder that holds exactly one of these two.
    like
        Grid of the scan. A mask with the same voxels in another axis order is turned
        onto it. Segmentations of DICOM and of 3D Slicer may cover a part of it.
        Contours need it, to be filled.

    Raises
    ------
    BadLabels
        If the values are no labels or lie on another grid than ``like``.
    BadScan
        If the file cannot be read at all.
    """
    file, kind = _recognise(Path(path))
    with _damage_named(file):
        return _read(file, kind, like)


def _read(file: Path, kind: _Kind, like: Grid | None) -> LabelMap:
    if kind == "seg":
        from scanlearn.scans.labels.read_dicom_seg import read_dicom_seg

        return read_dicom_seg(file, like=like)
    if kind == "rtstruct":
        from scanlearn.scans.labels.rtstruct import read_rtstruct

        if like is None:
            raise BadLabels(
                f"{file.name} holds contours, which have no grid of their own",
                expected="the scan that they were drawn on",
                next_step="Give the scan together with its contours.",
            )
        return read_rtstruct(file, like=like)
    if _segments_of(file):
        from scanlearn.scans.labels.seg_nrrd import read_seg_nrrd

        return read_seg_nrrd(file, like=like)
    return _read_mask(file, like)


def _read_mask(file: Path, like: Grid | None) -> LabelMap:
    from scanlearn.scans.read import read_scan

    channels = count_channels(file) if kind_of(file) == "itk" else 1
    if channels > 1:
        raise _no_label_map(file, f"it holds {channels} values in every voxel", _JOIN)
    scan = read_scan(file)
    _refuse_repairs(file, scan.problems)
    labels, names = as_labels(scan.voxels, file.name), nifti_label_names(file)
    if like is None:
        return LabelMap(labels, scan.grid, names)
    if kind_of(file) == "array" and labels.shape == like.shape:
        return LabelMap(labels, like)  # an array has no grid but its scan's
    return LabelMap(lay_onto(labels, scan.grid, like, name=file.name), like, names)


def read_label_names(path: Path) -> dict[int, str]:
    """Return the names of labels that a file states: DICOM, NRRD or NIfTI."""
    file, kind = _recognise(Path(path))
    with _damage_named(file):
        if kind == "seg":
            from scanlearn.scans.labels.read_dicom_seg import read_segment_names

            return read_segment_names(file)
        if kind == "rtstruct":
            from scanlearn.scans.labels.rtstruct import read_roi_names

            return read_roi_names(file)
        segments = _segments_of(file)
        return segment_labels(segments) if segments else nifti_label_names(file)


def _segments_of(file: Path) -> list[Segment]:
    return read_segments(file) if NRRD.has(file) else []


@contextmanager
def _damage_named(file: Path) -> Iterator[None]:
    """Turn whatever damaged bytes make a library raise into an error with the name."""
    try:
        yield
    except ScanlearnError:
        raise
    except Exception as error:  # of as many kinds as there are ways to be damaged
        reason = str(error).strip().splitlines() or [type(error).__name__]
        cause, next_step = cause_of(file)
        raise BadLabels(
            f"{file.name} is damaged: {cause or reason[-1]}",
            expected="a complete file of labels",
            next_step=next_step or "Export the labels again.",
        ) from error


def _refuse_repairs(file: Path, problems: tuple[Problem, ...]) -> None:
    """Refuse what a reader repairs in an image: in labels it would go unseen."""
    advice = {"4d": _JOIN, "not_finite": "Choose the mask instead of an image."}
    for problem in problems:
        if problem.code in advice:
            raise _no_label_map(file, problem.text, advice[problem.code])


def _no_label_map(file: Path, found: str, advice: str) -> BadLabels:
    return BadLabels(
        f"{file.name} is no label map: {found}",
        expected="one 3D volume of whole numbers, each the number of a class",
        next_step=advice,
    )


def _recognise(path: Path) -> tuple[Path, _Kind]:
    if kind_of(path) == "zarr":
        return path, "image"
    if not path.is_dir():
        return path, _kind(path)
    files = [file for file in sorted(path.iterdir()) if file.is_file()]
    found = [(file, kind) for file in files if (kind := _kind(file)) != "image"]
    if len(found) != 1:
        raise BadLabels(
            f"the folder {path.name} holds {len(found)} DICOM label files",
            expected="exactly one segmentation or contour file",
            next_step="Choose one file.",
        )
    return found[0]


def _kind(file: Path) -> _Kind:
    if not file.is_file():
        raise BadLabels(
            f"{file} does not exist", next_step="Check the path of the labels."
        )
    uid = label_class(file)
    if uid in SEGMENTATION_CLASSES:
        return "seg"
    return "rtstruct" if uid in CONTOUR_CLASSES else "image"
