"""What a reader decided about the findings of one scan: ``NAME_review.csv``.

It lies beside the prediction and is written at every decision. Its columns are those of
``NAME_findings.csv``, and ``verdict``: ``accepted``, ``rejected``, ``added`` or empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from scanlearn.anatomy.lung_places import LungPlace
from scanlearn.errors import BadLabels
from scanlearn.prediction.summary import Format, Prediction, why_no_dicom_seg
from scanlearn.scans.geometry import Grid, canonical_grid
from scanlearn.scans.tables.finding_table import BoxFinding, Finding, write_findings
from scanlearn.scans.tables.results import Cell, read_results

Verdict = Literal["", "accepted", "rejected", "added"]

#: A finding is changed by this much at a time.
STEP_MM = 0.5
STEP_SHARE = 0.05

_SMALLEST_MM, _SMALLEST_PX = 1.0, 2.0

#: Columns beside those of the findings.
_MORE = ("slice", "side", "third", "verdict")


@dataclass(frozen=True)
class Judged:
    """A finding and what was decided about it.

    Parameters
    ----------
    finding
        As large as the reader left it. The score of an added one is 1.
    verdict
        Empty while nothing is decided.
    slice
        Number of the axial slice, from the feet up.
    place
        Which lung and third; of a radiograph empty.
    """

    finding: Finding | BoxFinding
    verdict: Verdict = ""
    slice: int = 0
    place: LungPlace = field(default_factory=LungPlace)

    @property
    def kept(self) -> bool:
        """Whether it is taken for real."""
        return self.verdict in ("accepted", "added")


@dataclass(frozen=True)
class Review:
    """The findings of one scan with what was decided; added ones stand last."""

    items: tuple[Judged, ...] = ()

    @property
    def kept(self) -> tuple[Finding | BoxFinding, ...]:
        """What was accepted or added."""
        return tuple(one.finding for one in self.items if one.kept)

    def judged(self, number: int, verdict: Verdict) -> Review:
        """Decide about a finding; the same decision again takes it back.

        An added one is either there or rejected.
        """
        one = self.items[number]
        if one.verdict == verdict:
            verdict = ""
        elif one.verdict == "added" and verdict == "accepted":
            verdict = "added"
        return self._with(number, replace(one, verdict=verdict))

    def resized(self, number: int, steps: int) -> Review:
        """Make a finding larger by some steps, or smaller by negative ones."""
        one = self.items[number]
        return self._with(number, replace(one, finding=larger(one.finding, steps)))

    def added(self, one: Judged) -> Review:
        """Return the review with a finding that the model missed."""
        return Review((*self.items, replace(one, verdict="added")))

    def continued(self, earlier: Review) -> Review:
        """Return this review of new findings with the decisions of an earlier one.

        A decision belongs to the finding whose middle lies within the one it was made
        about. What was accepted or added, and is not found again, stays.
        """
        items, rest = [], list(earlier.items)
        for one in self.items:
            same = next((old for old in rest if _same(old.finding, one.finding)), None)
            if same is not None:
                rest.remove(same)
                one = _taken_over(one, same)
            items.append(one)
        lost = [replace(old, verdict="added") for old in rest if old.kept]
        return Review((*items, *lost))

    def save(self, file: Path, kind: type[Finding | BoxFinding]) -> None:
        """Write it as a table, read again before it counts."""
        more: dict[str, Sequence[Cell]] = {
            "slice": [one.slice for one in self.items],
            "side": [one.place.side for one in self.items],
            "third": [one.place.third for one in self.items],
            "verdict": [one.verdict for one in self.items],
        }
        write_findings(file, [one.finding for one in self.items], kind, more)

    def _with(self, number: int, one: Judged) -> Review:
        return Review((*self.items[:number], one, *self.items[number + 1 :]))


def kind_of(prediction: Prediction) -> type[Finding] | type[BoxFinding] | None:
    """Return what the findings of a prediction are; None where it has none."""
    kinds: dict[str, type[Finding] | type[BoxFinding]] = {
        "sphere": Finding,
        "box": BoxFinding,
    }
    # Before radiographs could be looked at there were spheres only.
    shape = prediction.facts.get("shape", "sphere")
    return kinds.get(str(shape)) if prediction.task == "detection" else None


def review_file(prediction: Prediction) -> Path:
    """Return where the decisions about a prediction are kept."""
    return prediction.folder / f"{prediction.scan}_review.csv"


def read_review(prediction: Prediction) -> Review:
    """Read the findings of a prediction with what was decided about them so far.

    Raises
    ------
    BadLabels
        If a table cannot be read.
    """
    kind, table = kind_of(prediction), prediction.table("findings.csv")
    if kind is None or table is None:
        return Review()
    found = _read(table, kind, prediction.grid)
    kept = review_file(prediction)
    return (
        found.continued(_read(kept, kind, prediction.grid)) if kept.exists() else found
    )


def reviewed(prediction: Prediction) -> bool:
    """Whether something was accepted or added."""
    file = review_file(prediction)
    rows = read_results(file, ["verdict"]) if file.exists() else []
    return any(row["verdict"] in ("accepted", "added") for row in rows)


def why_not(prediction: Prediction, wanted: Format) -> str:
    """Say why a result cannot be saved in a format; empty where it can.

    Findings are outlined once some of them are accepted.
    """
    if wanted not in ("nifti", "dicom-seg") or kind_of(prediction) is None:
        return prediction.why_not(wanted)
    if not reviewed(prediction):
        return "Accept findings first: those that are accepted are outlined"
    return why_no_dicom_seg(prediction.source) if wanted == "dicom-seg" else ""


def larger(finding: Finding | BoxFinding, steps: int) -> Finding | BoxFinding:
    """Return a finding with the same middle, larger by steps of a diameter or share."""
    if isinstance(finding, Finding):
        diameter = max(_SMALLEST_MM, finding.diameter_mm + steps * STEP_MM)
        return replace(finding, diameter_mm=diameter)
    x, y, width, height = finding.box
    sides = np.array([width, height])
    grown = np.maximum(sides * (1 + STEP_SHARE) ** steps, _SMALLEST_PX)
    left, top = (np.array([x, y]) - (grown - sides) / 2).tolist()
    return replace(finding, box=(left, top, *grown.tolist()))


def middle_of(finding: Finding | BoxFinding, grid: Grid) -> tuple[float, float, float]:
    """Return where the middle of a finding is, LPS millimetres.

    Parameters
    ----------
    finding
        A sphere, or a box in pixels of the file.
    grid
        Of the file.
    """
    if isinstance(finding, Finding):
        return finding.centre
    x, y, width, height = finding.box
    a, b, c = grid.to_patient([0, y + height / 2, x + width / 2]).tolist()
    return a, b, c


def slices_of(points: ArrayLike, grid: Grid) -> list[int]:
    """Return the numbers of axial slices as viewers show them, from the feet up.

    Parameters
    ----------
    points
        (n, 3) LPS millimetres.
    grid
        Of the scan's source.
    """
    shown = canonical_grid(grid)
    heights = shown.to_index(np.reshape(points, (-1, 3)))[:, 0]
    numbers: list[int] = (
        np.clip(np.rint(heights), 0, shown.shape[0] - 1).astype(int).tolist()
    )
    return numbers


def _read(file: Path, kind: type[Finding | BoxFinding], grid: Grid) -> Review:
    """Read a table of findings; columns that an older one lacks stay empty."""
    rows = read_results(file, kind.columns, _MORE)
    items = [_judged(file, number, row, kind) for number, row in enumerate(rows)]
    if kind is BoxFinding:
        return Review(tuple(items))
    slices = slices_of([middle_of(one.finding, grid) for one in items], grid)
    pairs = zip(items, slices, strict=True)
    return Review(tuple(replace(one, slice=number) for one, number in pairs))


def _judged(
    file: Path, number: int, row: dict[str, str], kind: type[Finding | BoxFinding]
) -> Judged:
    try:
        cells = [float(row[name]) for name in kind.columns[:-1]]
        finding = kind.of_cells(cells, row["class"])
        verdict = _verdict(row.get("verdict", ""))
    except ValueError as error:
        raise BadLabels(
            f"{file}, row {number + 2}: {error}",
            expected=kind.meaning,
            next_step="Correct the table, or delete it and review again.",
        ) from error
    place = LungPlace(row.get("side", ""), row.get("third", ""))
    return Judged(finding, verdict, 0, place)


def _verdict(text: str) -> Verdict:
    for known in get_args(Verdict):
        if text == known:
            verdict: Verdict = known
            return verdict
    raise ValueError(f"'{text}' is no verdict")


def _same(old: Finding | BoxFinding, new: Finding | BoxFinding) -> bool:
    if isinstance(old, Finding) and isinstance(new, Finding):
        apart = np.linalg.norm(np.subtract(old.centre, new.centre))
        return bool(apart < old.diameter_mm / 2)
    if isinstance(old, BoxFinding) and isinstance(new, BoxFinding):
        x, y, width, height = old.box
        middle = np.array(new.box[:2]) + np.array(new.box[2:]) / 2 - (x, y)
        return bool(((middle >= 0) & (middle <= (width, height))).all())
    return False


def _taken_over(new: Judged, old: Judged) -> Judged:
    """Return a finding with an earlier decision, and the size it was given then."""
    if not old.verdict:
        return new
    verdict: Verdict = "accepted" if old.verdict == "added" else old.verdict
    finding = replace(old.finding, score=new.finding.score)
    return replace(new, finding=finding, verdict=verdict)
