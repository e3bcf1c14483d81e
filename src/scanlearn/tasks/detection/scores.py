"""Evaluation of a detector: FROC, CPM, what is found of which size."""

from __future__ import annotations

from pathlib import Path

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.detection import DetectionConfig
from scanlearn.errors import BadLabels, BadRun
from scanlearn.metrics.froc import RATES
from scanlearn.prediction.each_scan import Tell
from scanlearn.runs.events import Step
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.detection.box_detector import BoxDetector
from scanlearn.tasks.detection.card import (
    SliceDetectorCard,
    read_detector_card,
)
from scanlearn.tasks.detection.finding_set import FindingSet
from scanlearn.tasks.detection.judgement import (
    DetectionScores,
    case,
    judge_radiographs,
    judge_scans,
    score,
)
from scanlearn.tasks.detection.labels import collect_findings
from scanlearn.tasks.detection.sphere_detector import Detector
from scanlearn.tasks.shared.evaluation import Evaluation, Summary, remark_on_few

#: Fewer nodules than this make a sensitivity that one of them changes much.
_FEW_NODULES = 20


def evaluate_detection(
    run: RunFolder,
    labels: Path,
    cohort: Cohort,
    tell: Tell,
    *,
    ignore_reference: bool = False,
) -> Evaluation:
    """Detect in the labelled scans of a cohort, on its grids, and judge.

    Spheres are judged by the rule of LUNA16, boxes by the same rule in two dimensions.
    Patients that the run was trained on are left out as soon as there is another. A
    split of the labels is honoured: where there is a test part, it alone counts.

    Raises
    ------
    BadLabels
        If none of the scans that count has a finding.
    BadRun
        If the run learned spheres and the scans are radiographs, or the reverse.
    """
    config = run.config().section(DetectionConfig)
    ignored = ignore_reference or config.ignore_reference
    config = config.model_copy(update={"ignore_reference": ignored})
    truth = collect_findings(labels, cohort, config)
    tests = [item for item in truth.items if item.split == "test"]
    seen = {
        item.patient
        for item in FindingSet.load(run.inputs).items
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
    card = read_detector_card(run.path)
    name, flat = card.finding, isinstance(card, SliceDetectorCard)
    if flat != (truth.kind == "boxes"):
        raise BadRun(
            f"{run.name} looks at {'radiographs' if flat else 'volumes'}, "
            f"{cohort.path.name} holds others",
            expected="labelled scans of the kind that the run was trained on",
            next_step="Choose another cohort with --on, or another run",
        )

    def progress(done: int, total: int) -> None:
        tell(Step(step=done, values={"total": float(total)}))

    items = fresh or wanted
    if flat:
        boxes = BoxDetector(run.path)
        judged = judge_radiographs(boxes, cohort, items, progress=progress)
    else:
        judged = judge_scans(Detector(run.path), cohort, items, progress=progress)
    scores = score(judged, by_diameter=not flat)
    if scores is None:
        raise BadLabels(
            f"None of the {len(judged)} scans to judge by has a labelled finding",
            expected="at least one",
            next_step="Give labels of other patients",
        )
    patients = [one.patient for one in judged]
    means: dict[str, Summary | float] = {"cpm": _cpm(scores), "ap": scores.ap}
    return Evaluation(
        task="detection",
        run=run.name,
        mean=means | ({"ap at 0.5": scores.ap_half} if flat else {}),
        classes=_rows(name, scores),
        cases=[
            case(one, threshold=scores.threshold) | {"trained_on": not fresh}
            for one in judged
        ],
        remarks=[*remarks, *_remarks(name, scores, patients, flat=flat)],
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


def _remarks(
    name: str, scores: DetectionScores, patients: list[str], *, flat: bool
) -> list[str]:
    where = "box" if flat else "radius (LUNA16)"
    said = [
        f"Sensitivities at false positives a scan; a finding counts when its centre "
        f"lies within the {name}'s {where}"
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
