"""One scan after another: read, predicted on, written, whatever the task."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Protocol, TypeVar

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.layout import Layout
from scanlearn.errors import ScanlearnError
from scanlearn.prediction.exports import refuse_impossible
from scanlearn.prediction.result_files import Extra, Saving, is_there
from scanlearn.prediction.sources import named_scans
from scanlearn.prediction.summary import read_prediction
from scanlearn.runs.events import Event, Message, Step
from scanlearn.runs.folder import RunFolder
from scanlearn.scans.read import OnUneven, read_scan
from scanlearn.scans.scan import Scan, ScanEntry

Tell = Callable[[Event], None]
Progress = Callable[[int, int], None]

Found = TypeVar("Found")
_Made = TypeVar("_Made")
_Given = TypeVar("_Given", covariant=True)
_Taken = TypeVar("_Taken", contravariant=True)


@dataclass(frozen=True)
class Request:
    """What shall be predicted on, and where the results go.

    Parameters
    ----------
    source
        A scan, a folder of scans, or a cohort: its scans are then predicted on their
        own grids and named by their keys.
    out
        Folder of the results.
    series
        Only the series with this UID.
    overlap
        Of neighbouring windows.
    on_uneven
        As in :func:`scanlearn.scans.read.read_scan`; a scan that is resampled has its
        results on the even grid.
    extras
        Formats beside the task's own.
    views
        How many ways each scan is looked at, where the task can.
    covariates
        Clinical numbers, where the task takes any: as of
        :func:`scanlearn.tasks.outcome.covariates.read_covariates`.
    resume
        Whether results that this run wrote there before, asked in the same way, stay.
    """

    source: Path
    out: Path
    series: str = ""
    overlap: float = 0.25
    on_uneven: OnUneven = "refuse"
    extras: Collection[Extra] = ()
    views: int = 1
    covariates: str = ""
    resume: bool = False

    def asked_of(self, place: str) -> str:
        """Return what tells a result of a scan from one that was asked otherwise.

        A digest: results name no folders of the machine.
        """
        settings = (place, self.overlap, self.on_uneven, self.views, self.covariates)
        text = repr((*settings, sorted(self.extras)))
        return blake2b(text.encode(errors="surrogateescape"), digest_size=8).hexdigest()


class Predict(Protocol[_Given]):
    """Finds something in a scan as it was read."""

    def __call__(self, scan: Scan, *, progress: Progress) -> _Given:
        """Return what was found; ``progress`` is told the parts done and all."""
        ...


class Save(Protocol[_Taken]):
    """Writes what was found; the source is None for a scan of a cohort."""

    def __call__(
        self, found: _Taken, scan: Scan, entry: ScanEntry | None, to: Saving, /
    ) -> Path:
        """Return the summary, ``NAME_prediction.json``, written last."""
        ...


def each_scan(
    run: RunFolder,
    request: Request,
    predict: Predict[Found],
    save: Save[Found],
    tell: Tell,
) -> list[Path]:
    """Predict on every scan of a request; returns the summaries written.

    A scan that cannot be read is told and passed over, unless it is the only one. With
    ``resume`` the summaries that are there already are among those returned.
    """

    def to(name: str, place: str) -> Saving:
        asked = request.asked_of(place)
        return Saving(request.out, name, run.name, request.extras, asked)

    def found_in(scan: Scan) -> Found:
        tell_problems(scan, tell)
        return predict(
            scan,
            progress=lambda n, total: tell(
                Step(step=n, values={"total": float(total)})
            ),
        )

    if Layout(request.source).settings.is_file():
        return _each_of_cohort(request, found_in, save, to, tell)

    def written(name: str, entry: ScanEntry) -> Path:
        refuse_impossible([*request.extras], entry.kind)
        saving = to(name, f"{entry.path}|{entry.series_uid}|{entry.volume}")
        if request.resume and is_there(saving):
            return saving.summary
        scan = read_scan(entry, on_uneven=request.on_uneven)
        summary = save(found_in(scan), scan, entry, saving)
        for caution in read_prediction(summary).cautions:
            tell(Message(text=f"Densitometry: {caution}", severity="warning"))
        return summary

    return list(each_entry(request.source, request.series, written, tell))


def each_entry(
    source: Path,
    series: str,
    make: Callable[[str, ScanEntry], _Made],
    tell: Tell,
) -> Iterator[_Made]:
    """Make something of each scan of a file or folder, one after another.

    One that cannot be used is told and passed over, unless it is the only one.

    Parameters
    ----------
    source, series
        As :func:`scanlearn.prediction.sources.named_scans` takes them.
    make
        Given the name of a scan's results and the scan.
    tell
        Given a warning for each that is passed over.
    """
    scans = named_scans(source, series)
    for number, (name, entry) in enumerate(scans, start=1):
        _tell_number(number, len(scans), tell)
        try:
            made = make(name, entry)
        except ScanlearnError as error:
            if len(scans) == 1:
                raise
            tell(Message(text=f"{entry.path}: {error}", severity="warning"))
            continue
        yield made


def tell_problems(scan: Scan, tell: Tell) -> None:
    """Tell what was odd about a scan when it was read."""
    for problem in scan.problems:
        if problem.severity != "note":
            tell(Message(text=problem.text, severity="warning"))


def _each_of_cohort(
    request: Request,
    found_in: Callable[[Scan], Found],
    save: Save[Found],
    to: Callable[[str, str], Saving],
    tell: Tell,
) -> list[Path]:
    """Predict on a cohort's usable scans, whose sources are nobody's business."""
    cohort, written = Cohort(request.source), []
    keys = [*cohort.keys()]
    for number, key in enumerate(keys, start=1):
        _tell_number(number, len(keys), tell)
        saving = to(key, key)
        refuse_impossible([*saving.extras], "cohort")
        if request.resume and is_there(saving):
            written.append(saving.summary)
            continue
        scan = cohort.scan(key)
        written.append(save(found_in(scan), scan, None, saving))
    return written


def _tell_number(number: int, count: int, tell: Tell) -> None:
    if count > 1:
        tell(Message(text=f"Scan {number} of {count}"))
