"""What the slices of a series share: modality, units, texts, and whose it is."""

from __future__ import annotations

from scanlearn.scans.dicom.slice_header import SeriesInfo
from scanlearn.scans.dicom.tags import Tags
from scanlearn.scans.scan import Acquisition

#: Modalities that are projections: every image is a scan of its own.
PROJECTIONS = ("CR", "DX", "DR", "RG", "MG", "PX", "IO", "XA", "RF")
#: Classes of sections, and their modality: cone-beam CT is often called DX.
_SECTION_CLASSES = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "CT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",
    "1.2.840.10008.5.1.4.1.1.4.4": "MR",
    "1.2.840.10008.5.1.4.1.1.128": "PT",
}
#: What DICOM calls the patient's sides (of head and feet it has its own) -> our letter.
_SIDES = {"L": "L", "R": "R", "A": "A", "P": "P", "H": "S", "F": "I"}


def series_info(tags: Tags) -> SeriesInfo:
    """Return what a header says of its series; texts in their own character set."""
    stated = tags.text("Modality") or "OT"
    modality = _modality(stated, tags)
    rescale = tags.text("RescaleType").upper()
    is_hu = (
        modality == "CT"
        and rescale in ("", "HU")
        and (tags.number("RescaleIntercept") is not None or rescale == "HU")
    )
    kernel = tags.decoded("ConvolutionKernel")
    acquisition = Acquisition(
        modality=modality,
        units="HU" if is_hu else "arbitrary",
        description=tags.decoded("SeriesDescription") or tags.decoded("ProtocolName"),
        body_part=tags.decoded("BodyPartExamined"),
        kernel=kernel,
        slice_thickness_mm=tags.number("SliceThickness"),
        contrast=tags.decoded("ContrastBolusAgent"),
        manufacturer=tags.decoded("Manufacturer"),
    )
    identity = _patient(tags)
    study = tags.text("StudyInstanceUID")
    return SeriesInfo(
        tags.text("SeriesInstanceUID"),
        acquisition,
        identity or study,
        study,
        tags.text("SeriesNumber"),
        is_identified=bool(identity),
        stated_modality=stated if stated != modality else "",
    )


def _modality(stated: str, tags: Tags) -> str:
    """Return the modality; sections with places are none of a projection's."""
    if stated not in PROJECTIONS or not tags.text("ImagePositionPatient"):
        return stated
    return _SECTION_CLASSES.get(tags.text("SOPClassUID"), stated)


def letters_of(text: str) -> tuple[str, ...]:
    """Return where rows and columns run to in letters of ours, if the file says it.

    DICOM PS3.3, C.7.6.1.1.1: of several letters the first is the main direction.
    """
    found = tuple(_SIDES.get(part.strip()[:1], "") for part in text.split("\\"))
    return found if len(found) == 2 and all(found) else ()


def _patient(tags: Tags) -> str:
    """Return what the file says of who it is; it never leaves memory as it is."""
    identifier = tags.decoded("PatientID")
    if identifier:
        issuer = tags.decoded("IssuerOfPatientID")
        return f"{identifier}|{issuer}" if issuer else identifier
    name, born = tags.decoded("PatientName"), tags.text("PatientBirthDate")
    return f"{name}|{born}" if name else ""
