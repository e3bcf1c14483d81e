"""Whether labelled scans have the intensities that an encoder was trained on."""

from __future__ import annotations

from collections.abc import Collection

from scanlearn.errors import BadCohort


def check_units(units: str, seen: Collection[str]) -> None:
    """See that an encoder knows what the intensities of labelled scans mean.

    Parameters
    ----------
    units
        Of the labelled scans: ``HU``, ``zscore`` or ``unit``.
    seen
        Those it was trained on.

    Raises
    ------
    BadCohort
        If it saw others only.
    """
    if units not in seen:
        raise BadCohort(
            f"The labelled scans' intensities are {units}, those the encoder was "
            f"trained on {' or '.join(seen)}",
            expected="labelled scans of a kind that the pre-training saw",
            next_step="Label such scans, start from another run, or from scratch",
        )
