"""Everything that DICOM files say of who a scan is of, where and by whom it was made.

It is read to be left out: no text that is written may hold any of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pydicom
from pydicom.dataelem import DataElement

from scanlearn.scans.dicom.inflated import refuse_inflation

#: Beside all names of persons (VR ``PN``), at any depth.
_NAMES = (
    "PatientID IssuerOfPatientID OtherPatientIDs PatientBirthDate PatientAddress "
    "PatientTelephoneNumbers PatientTelecomInformation PatientComments "
    "PatientInstitutionResidence InsurancePlanIdentification MedicalRecordLocator "
    "InstitutionName InstitutionAddress InstitutionalDepartmentName StationName "
    "AccessionNumber StudyID AdmissionID ServiceEpisodeID DeviceSerialNumber "
    "ReferringPhysicianAddress ReferringPhysicianTelephoneNumbers "
    "RequestingService PlacerOrderNumberImagingServiceRequest "
    "FillerOrderNumberImagingServiceRequest ResponsibleOrganization "
    "StudyInstanceUID SeriesInstanceUID"
)
_IDENTIFYING = frozenset(_NAMES.split())

#: Of the files after the first only these are looked at: they cost a tenth.
_MAY_VARY = [
    *("PatientName", "PatientID", "OtherPatientIDs", "PatientBirthDate"),
    *("InstitutionName", "AccessionNumber", "ReferringPhysicianName"),
    *("PerformingPhysicianName", "OperatorsName", "PhysiciansOfRecord"),
]


def stated_identity(files: Sequence[Path]) -> list[str]:
    """Return all values of identifying tags of a scan's files, each once.

    A file that cannot be read states nothing: whoever reads the scan tells why.
    """
    found: dict[str, None] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd values are told elsewhere
        for number, path in enumerate(files):
            wanted = _MAY_VARY if number else None
            for element in _elements(path, wanted):
                found.update(dict.fromkeys(_texts(element)))
    return list(found)


def _elements(path: Path, wanted: list[str] | None) -> Iterator[DataElement]:
    try:
        refuse_inflation(path)
        dataset = pydicom.dcmread(
            path, stop_before_pixels=True, specific_tags=wanted, force=True
        )
        yield from dataset.iterall()
    except Exception:  # noqa: BLE001 - pydicom raises many kinds on damaged bytes
        return


def _texts(element: DataElement) -> Iterable[str]:
    if element.VR != "PN" and element.keyword not in _IDENTIFYING:
        return ()
    if element.value is None:
        return ()
    many = element.VM > 1
    return [str(value) for value in (element.value if many else [element.value])]
