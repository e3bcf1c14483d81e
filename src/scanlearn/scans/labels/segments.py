"""What a DICOM segmentation says of its source series and of its classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scanlearn.errors import BadLabels
from scanlearn.scans.dicom.planes import planes_of
from scanlearn.version import __version__

#: Attributes that a segmentation copies and de-identified files often lack.
_MAY_BE_MISSING = (
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
)

#: SNOMED category and type of classes that are recognised by a word of their name.
_TISSUE = ("85756007", "Tissue")
_ORGAN = ("123037004", "Anatomical Structure")
_ABNORMAL = ("49755003", "Morphologically Altered Structure")
_KNOWN = (
    (("nodule",), _ABNORMAL, ("27925004", "Nodule")),
    (("right", "lung"), _ORGAN, ("3341006", "Right lung")),
    (("left", "lung"), _ORGAN, ("44029006", "Left lung")),
    (("lung",), _ORGAN, ("39607008", "Lung")),
    (("heart",), _ORGAN, ("80891009", "Heart")),
)


def describe_segments(names: Mapping[int, str], highest: int) -> list[Any]:
    """Return the descriptions of segments 1 to ``highest``.

    Binary segmentations number their segments without gaps, so unused labels get a
    segment without frames; that keeps every label's number.
    """
    import highdicom as hd
    from pydicom.sr.codedict import codes

    algorithm = hd.AlgorithmIdentificationSequence(
        name="napari-scanlearn",
        version=__version__,
        family=codes.DCM.ArtificialIntelligence,
    )
    described = []
    for number in range(1, highest + 1):
        name = names.get(number, "") or f"label {number}"
        category, kind = _codes(name)
        described.append(
            hd.seg.SegmentDescription(
                segment_number=number,
                segment_label=name[:64],
                segmented_property_category=category,
                segmented_property_type=kind,
                algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
                algorithm_identification=algorithm,
            )
        )
    return described


def read_names(dataset: Any) -> dict[int, str]:
    """Return segment numbers and names, without the background of label maps.

    A name is the segment's label, or the meaning of its type where it has none. What
    tells sides apart is added where only a code says it, as in "Kidney (Left)".
    """
    names = {
        int(item.SegmentNumber): _name_of(item) for item in dataset.SegmentSequence
    }
    return {number: name for number, name in names.items() if number > 0}


def _name_of(item: Any) -> str:
    name = str(item.get("SegmentLabel") or "").strip("\0 ")
    types = item.get("SegmentedPropertyTypeCodeSequence") or []
    if not name and types:
        name = str(types[0].get("CodeMeaning") or "")
    name = name or f"segment {item.SegmentNumber}"
    for kind in types:
        for code in kind.get("SegmentedPropertyTypeModifierCodeSequence") or []:
            meaning = str(code.get("CodeMeaning") or "")
            if meaning.casefold() not in name.casefold():
                name += f" ({meaning})"
    return name


def read_source_headers(files: Sequence[Path]) -> list[Any]:
    """Read the headers of a series so that a segmentation can be made from them.

    Gaps that would stop highdicom are filled in memory: empty patient and study
    attributes, and one frame of reference for slices that are one series.

    Raises
    ------
    BadLabels
        If there is no file, or the files are not slices of one series in patient space.
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError
    from pydicom.uid import generate_uid

    try:
        headers = [dcmread(file, stop_before_pixels=True) for file in files]
    except InvalidDicomError as error:
        raise _no_series(f"a source file is no DICOM image: {error}") from error
    series = {header.get("SeriesInstanceUID") for header in headers}
    if len(series) != 1:
        raise _no_series(f"the source files belong to {len(series)} series")
    # De-identified series may have another frame of reference in every slice. They were
    # read as one volume, so that of the first stands for all.
    frame_of_reference = headers[0].get("FrameOfReferenceUID") or generate_uid()
    try:
        planes_of(headers)
    except (AttributeError, KeyError, ValueError) as error:
        raise _no_series(f"the source files are no stack of slices: {error}") from error
    for header in headers:
        header.FrameOfReferenceUID = frame_of_reference
        for name in _MAY_BE_MISSING:
            if name not in header:
                setattr(header, name, "")
        if "PerFrameFunctionalGroupsSequence" in header:
            _share_groups(header)
        else:
            # Equal but for rounding, as planes_of has checked.
            header.ImageOrientationPatient = headers[0].ImageOrientationPatient
            header.SliceThickness = header.get("SliceThickness") or 0.0
    return headers


def _share_groups(header: Any) -> None:
    """Move orientation and spacing, equal in all frames, where highdicom wants them."""
    from pydicom.dataset import Dataset

    if not header.get("SharedFunctionalGroupsSequence"):
        header.SharedFunctionalGroupsSequence = [Dataset()]
    shared = header.SharedFunctionalGroupsSequence[0]
    first = header.PerFrameFunctionalGroupsSequence[0]
    for name in ("PlaneOrientationSequence", "PixelMeasuresSequence"):
        if name not in shared and name in first:
            setattr(shared, name, first[name].value)


def _codes(name: str) -> tuple[Any, Any]:
    import highdicom as hd

    words = name.lower()
    category, kind = _TISSUE, _TISSUE
    for needed, known_category, known_kind in _KNOWN:
        if all(word in words for word in needed):
            category, kind = known_category, known_kind
            break
    return (
        hd.sr.CodedConcept(category[0], "SCT", category[1]),
        hd.sr.CodedConcept(kind[0], "SCT", kind[1]),
    )


def _no_series(found: str) -> BadLabels:
    return BadLabels(
        found,
        expected="all slices of the one DICOM series that was segmented",
        next_step="Save as NIfTI instead, or give the scan's own DICOM files.",
    )
