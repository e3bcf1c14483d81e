"""Label maps in: masks in any format of images, DICOM-SEG and RT-STRUCT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from scanlearn.errors import BadLabels, ScanlearnError
from scanlearn.scans.find import kind_of
from scanlearn.scans.geometry import Grid
from scanlearn.scans.label_arrays import LabelArray, as_labels, lay_onto
from scanlearn.scans.scan import Problem
from scanlearn.scans.signatures import cause_of

_Kind = Literal["image", "seg", "rtstruct"]

_SEGMENTATIONS = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
_STRUCTURES = ("1.2.840.10008.5.1.4.1.1.481.3",)


def read_label_map(path: Path, *, like: Grid | None = None) -> tuple[LabelArray, Grid]:
    """Read a label map, laid onto the grid of its scan if that is given.

    Parameters
    ----------
    path
        A mask in any format of images, an array (``.npy``) of the scan's shape, a
        DICOM-SEG or RT-STRUCT file, or a folder that holds exactly one of these two.
    like
        Grid of the scan. A mask with the same voxels in another axis order is turned
        onto it. Contours need it, to be filled.

    Returns
    -------
    tuple
        Labels, uint8 or uint16, and their grid (``like`` itself where given).

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


def _read(file: Path, kind: _Kind, like: Grid | None) -> tuple[LabelArray, Grid]:
    if kind == "seg":
        from scanlearn.scans.read_dicom_seg import read_dicom_seg

        return read_dicom_seg(file, like=like)
    if kind == "rtstruct":
        from scanlearn.scans.rtstruct import read_rtstruct

        if like is None:
            raise BadLabels(
                f"{file.name} holds contours, which have no grid of their own",
                expected="the scan that they were drawn on",
                next_step="Give the scan together with its contours.",
            )
        return read_rtstruct(file, like=like), like
    from scanlearn.scans.read import read_scan

    scan = read_scan(file)
    _refuse_repairs(file, scan.problems)
    labels = as_labels(scan.voxels, file.name)
    if like is None:
        return labels, scan.grid
    if kind_of(file) == "array" and labels.shape == like.shape:
        return labels, like  # an array has no grid but its scan's
    return lay_onto(labels, scan.grid, like, name=file.name), like


def read_label_names(path: Path) -> dict[int, str]:
    """Return the names of labels that a file states: DICOM, or a segmentation NRRD."""
    file, kind = _recognise(Path(path))
    with _damage_named(file):
        if kind == "seg":
            from scanlearn.scans.read_dicom_seg import read_segment_names

            return read_segment_names(file)
        if kind == "rtstruct":
            from scanlearn.scans.rtstruct import read_roi_names

            return read_roi_names(file)
        return _nrrd_names(file) if kind_of(file) == "itk" else {}


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
    for problem in problems:
        if problem.code in ("4d", "not_finite"):
            raise BadLabels(
                f"{file.name} is no label map: {problem.text}",
                expected="one 3D volume of whole numbers",
                next_step="Choose the mask instead of an image or a probability map.",
            )


def _nrrd_names(file: Path) -> dict[int, str]:
    """Return the names that 3D Slicer writes into the header of a segmentation."""
    import SimpleITK

    reader = SimpleITK.ImageFileReader()
    reader.SetFileName(str(file))
    reader.ReadImageInformation()
    names = {}
    for key in reader.GetMetaDataKeys():
        if key.startswith("Segment") and key.endswith("_LabelValue"):
            name_key = key.replace("_LabelValue", "_Name")
            if reader.HasMetaDataKey(name_key):
                value = int(reader.GetMetaData(key))
                names[value] = reader.GetMetaData(name_key)
    return dict(sorted(names.items()))


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
    header = _dicom_header(file)
    uid = "" if header is None else str(header.get("SOPClassUID", ""))
    if uid in _SEGMENTATIONS:
        return "seg"
    return "rtstruct" if uid in _STRUCTURES else "image"


def _dicom_header(file: Path) -> Any:
    """Return what tells a DICOM file's kind, or None for other files."""
    from pydicom import dcmread

    if not file.is_file():
        raise BadLabels(
            f"{file} does not exist", next_step="Check the path of the labels."
        )
    try:
        return dcmread(file, specific_tags=["SOPClassUID"], stop_before_pixels=True)
    except Exception:  # noqa: BLE001 - of damage, the reader of scans tells more
        return None
