"""Whether the voxels of a cohort are still those that were prepared.

A disk that fails, a copy that broke off and a program that wrote into the store leave
files that open and lie. Scans prepared before a hash was kept are taken as they are.
"""

from __future__ import annotations

from collections.abc import Callable

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.record import ScanRecord
from scanlearn.cohort.store import stored_hash
from scanlearn.errors import BadCohort
from scanlearn.randomness import numpy_generator
from scanlearn.scans.scan import Problem

#: Scans looked at before a training: seconds, of CTs at 1 mm.
_SAMPLED = 8


def check_sample(cohort: Cohort, *, seed: int) -> None:
    """Read a few of the scans that a training sees.

    Raises
    ------
    BadCohort
        If the voxels of one are not those that were prepared.
    """
    known = [record for record in cohort.records() if record.stored_hash]
    order = numpy_generator(seed, "stored voxels").permutation(len(known))
    for number in sorted(order[:_SAMPLED]):
        if _is_changed(cohort, known[number]):
            raise BadCohort(
                f"The voxels of {known[number].key} in {cohort.path} are not those "
                "that were prepared",
                expected="files that nobody has changed, on a disk that keeps them",
                next_step=f"'scanlearn check {cohort.path}' reads all scans and says "
                "which to prepare again",
            )


def stored_problems(
    cohort: Cohort, *, progress: Callable[[int, int, str], None] | None = None
) -> dict[str, Problem]:
    """Read every scan whole; returns what is wrong, by key.

    ``progress`` is called with scans done, in all, and the name of the last.
    """
    found: dict[str, Problem] = {}
    records = cohort.records(excluded=True)
    for done, record in enumerate(records, start=1):
        try:
            changed = _is_changed(cohort, record)
        except BadCohort as error:  # it cannot even be opened
            found[record.key] = _problem(cohort, record, str(error))
        else:
            if changed:
                text = "its voxels are not those that were prepared"
                found[record.key] = _problem(cohort, record, text)
        if progress is not None:
            progress(done, len(records), record.key)
    return found


def _is_changed(cohort: Cohort, record: ScanRecord) -> bool:
    known = record.stored_hash
    return bool(known) and stored_hash(cohort.voxels(record.key)) != known


def _problem(cohort: Cohort, record: ScanRecord, text: str) -> Problem:
    sidecar = cohort.layout.record(record.key).name
    return Problem("stored", "error", text, f"delete {sidecar} and prepare again")
