"""Evaluation of a detector: FROC, CPM, what is found of which size."""

from __future__ import annotations

from pathlib import Path

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.spheres import SphereSet, collect_spheres
from scanlearn.errors import BadLabels
from scanlearn.evaluate.evaluation import Evaluation, Summary, remark_on_few
from scanlearn.evaluate.judging import DetectionScores, case, judge_scans, score
from scanlearn.metrics.froc import RATES
from scanlearn.predict.detecting import Detector
from scanlearn.predict.each_scan import Tell
from scanlearn.runs.events import Step
from scanlearn.runs.folder import RunFolder

#: Fewer nodules than this make a sensitivity that one of them changes much.
_FEW_NODULES = 20


def evaluate_detection(
    run: RunFolder, labels: Path, cohort: Cohort, tell: Tell
) -> Evaluation:
    """Detect in the labelled scans of a cohort, on its grids, and judge by LUNA16.

    Patients that the run was trained on are left out as soon as there is another. A
    split of the labels is honoured: where there is a test part, it alone counts.

    Raises
    ------
    BadLabels
        If none of the scans that count has a nodule.
    """
    truth = collect_spheres(labels, cohort)
    tests = [item for item in truth.items if item.split == "test"]
    seen = {
        item.patient
        for item in SphereSet.load(run.inputs).items
        if item.split != "test"
    }
    wanted = tests or list(truth.items)
    fresh = [item for item in wanted if item.patient not in seen]
    remarks = []
    if not fresh:
        remarks.append("Trained on these patients: others will be found less well")
    elif len(fresh) < len(wanted):
        left = len(wanted) - len(fresh)
        remarks.append(f"{left} scans of patients it was trained on are left out")
    detector = Detector(run.path)
    judged = judge_scans(
        detector,
        cohort,
        fresh or wanted,
        progress=lambda n, total: tell(Step(step=n, values={"total": float(total)})),
    )
    scores = score(judged)
    if scores is None:
        raise BadLabels(
            f"None of the {len(judged)} scans to judge by has a labelled finding",
            expected="at least one",
            next_step="Give labels of other patients",
        )
    name = detector.card.finding
    return Evaluation(
        task="detection",
        run=run.name,
        mean={"cpm": _cpm(scores), "ap": scores.ap},
        classes=_rows(name, scores),
        cases=[
            case(one, threshold=scores.threshold) | {"trained_on": not fresh}
            for one in judged
        ],
        remarks=[*remarks, *_remarks(name, scores, [one.patient for one in judged])],
        more={
            "rates": list(RATES),
            "sensitivities": list(scores.sensitivities),
            "threshold": scores.threshold,
            "froc": scores.curve,
        },
    )


def _cpm(scores: DetectionScores) -> Summary:
    low, high = scores.interval or (None, None)
    return Summary(scores.cpm, None, low, high, scores.patients)


def _rows(name: str, scores: DetectionScores) -> dict[str, dict[str, Summary | float]]:
    """Return sensitivities at all rates: of all findings, then by diameter."""

    def row(count: int, values: tuple[float, ...]) -> dict[str, Summary | float]:
        named = zip(RATES, values, strict=True)
        return {"n": count, **{f"{rate:g}/scan": value for rate, value in named}}

    return {f"all {name}s": row(scores.nodules, scores.sensitivities)} | {
        one.name: row(one.nodules, one.sensitivities) for one in scores.bins
    }


def _remarks(name: str, scores: DetectionScores, patients: list[str]) -> list[str]:
    said = [
        f"Sensitivities at false positives a scan; a finding counts when its centre "
        f"lies within the {name}'s radius (LUNA16)"
    ]
    if scores.nodules < _FEW_NODULES:
        said.append(
            f"Only {scores.nodules} {name}s: each is {1 / scores.nodules:.0%} of a "
            "sensitivity"
        )
    if scores.scans < 8:
        said.append(
            f"With {scores.scans} scans a single false positive is already "
            f"{1 / scores.scans:.2g} a scan"
        )
    return said + remark_on_few(patients)
