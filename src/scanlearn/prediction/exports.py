"""A saved prediction in other formats, each read again before it counts.

Nothing here needs torch: what was predicted lies in files.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from scanlearn.errors import BadScan
from scanlearn.files import written_beside
from scanlearn.prediction.activation_figure import write_activation_figure
from scanlearn.prediction.figures import write_figures
from scanlearn.prediction.result_files import Saving
from scanlearn.prediction.review import kind_of, review_file, why_not
from scanlearn.prediction.reviewed_labels import reviewed_labels
from scanlearn.prediction.summary import (
    Format,
    FoundClass,
    Prediction,
    why_no_dicom_seg,
)
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.scans.geometry import Grid
from scanlearn.scans.labels.read_labels import read_label_map
from scanlearn.scans.labels.write_dicom_seg import write_dicom_seg
from scanlearn.scans.read import read_scan
from scanlearn.scans.scan import Scan, ScanEntry


def refuse_impossible(formats: Sequence[Format], source: str) -> None:
    """Raise BadScan for a format that a source cannot have."""
    reason = why_no_dicom_seg(source)
    if "dicom-seg" in formats and reason:
        raise BadScan(
            reason,
            expected="a DICOM series",
            next_step="Leave --dicom-seg out: NIfTI holds the same labels",
        )


def export_prediction(
    prediction: Prediction,
    entry: ScanEntry,
    out: Path,
    formats: Sequence[Format],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Path]:
    """Write a prediction into a folder; returns the files.

    Parameters
    ----------
    prediction
        What was predicted.
    entry
        The scan it was predicted on.
    out
        Where to; files of the same names are replaced.
    formats
        Which files: the label map and probabilities or other maps (``nifti``), a
        segmentation of the source series (``dicom-seg``), ``tables``, pictures
        (``figures``).
    progress
        Given the formats done and wanted.

    Raises
    ------
    ScanlearnError
        If the scan is another one, or no DICOM where that is needed.
    OSError
        If a file differs when it is read again.
    """
    refuse_impossible(formats, entry.kind)
    for reason in filter(None, (why_not(prediction, wanted) for wanted in formats)):
        raise BadScan(reason, expected="--tables", next_step="Leave the others out")
    tables, kept = prediction.tables, review_file(prediction)
    writers: dict[Format, Callable[[], list[Path]]] = {
        "nifti": partial(_niftis, prediction, entry, out),
        "tables": partial(_copies, (*tables, kept) if kept.exists() else tables, out),
        "dicom-seg": partial(_dicom_seg, prediction, entry, out),
        "figures": partial(_figures, prediction, entry, out),
    }
    files = []
    for done, wanted in enumerate(formats):
        progress(done, len(formats))
        files += writers[wanted]()
    progress(len(formats), len(formats))
    return files


def write_segmentation(
    folder: Path,
    name: str,
    labels: NDArray[Any],
    grid: Grid,
    entry: ScanEntry,
    classes: Sequence[FoundClass],
) -> Path:
    """Write ``NAME_seg.dcm``, which refers to the slices of the scan."""
    path = folder / f"{name}_seg.dcm"
    names = {one.value: one.name for one in classes}
    write_dicom_seg(path, labels, grid, source_files=entry.files, names=names)
    return path


def write_extras(
    to: Saving,
    labels: NDArray[Any],
    scan: Scan,
    grid: Grid,
    entry: ScanEntry | None,
    classes: Sequence[FoundClass],
) -> dict[str, Any]:
    """Write what is wanted beside a label map; returns the files' names for a summary.

    ``entry`` is where the scan was read from; a cohort's has no DICOM to refer to.
    """
    written: dict[str, Any] = {}
    if entry is not None and "dicom-seg" in to.extras:
        file = write_segmentation(to.folder, to.name, labels, grid, entry, classes)
        written["dicom_seg"] = file.name
    if "figures" in to.extras:
        files = write_figures(to.folder, to.name, scan, labels, classes, title=to.run)
        written["figures"] = [file.name for file in files]
    return written


def _dicom_seg(prediction: Prediction, entry: ScanEntry, out: Path) -> list[Path]:
    # The grid of the scan, not of the file: NIfTI keeps fewer digits than DICOM.
    grid = read_scan(entry, on_uneven="resample").grid
    labels: NDArray[Any]
    if prediction.labels is None:
        labels, classes = reviewed_labels(prediction, grid)
    else:
        labels, _ = read_label_map(prediction.labels, like=grid)
        classes = prediction.classes
    return [write_segmentation(out, prediction.scan, labels, grid, entry, classes)]


def _niftis(prediction: Prediction, entry: ScanEntry, out: Path) -> list[Path]:
    if kind_of(prediction) is None:
        return _copies(prediction.niftis, out)
    grid = read_scan(entry, on_uneven="resample").grid
    labels, _ = reviewed_labels(prediction, grid)
    target = out / f"{prediction.scan}_findings.nii.gz"
    write_nifti(target, labels, grid)
    return [target]


def _figures(prediction: Prediction, entry: ScanEntry, out: Path) -> list[Path]:
    scan = read_scan(entry, on_uneven="resample")
    if prediction.maps:
        return write_activation_figure(out, prediction, scan)
    assert prediction.labels is not None
    labels, _ = read_label_map(prediction.labels, like=scan.grid)
    return write_figures(
        out, prediction.scan, scan, labels, prediction.classes, title=prediction.run
    )


def _copies(files: Sequence[Path], folder: Path) -> list[Path]:
    """Copy files and compare the copies with them, byte by byte."""
    copies = []
    for file in files:
        target = folder / file.name
        with written_beside(target) as beside:
            shutil.copyfile(file, beside)
            if beside.read_bytes() != file.read_bytes():
                raise OSError(f"{target} differs when it is read again")
        copies.append(target)
    return copies
