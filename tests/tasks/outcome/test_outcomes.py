from __future__ import annotations

import csv

import numpy as np
import pytest
from PIL import Image
from scipy.stats import norm
from sklearn.linear_model import RidgeCV
from sklearn.preprocessing import StandardScaler

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.outcome import OutcomeConfig
from scanlearn.errors import BadLabels
from scanlearn.features.linear import LinearModel
from scanlearn.tasks.outcome.card import OutcomeCard
from scanlearn.tasks.outcome.labels import OutcomeSet, collect_outcomes
from scanlearn.tasks.outcome.models import (
    Outcomes,
    concordance,
    error_bound,
    fit_outcome,
    held_out_scores,
    interval,
    score,
)
from scanlearn.tasks.outcome.predict import said
from scanlearn.tasks.outcome.risk_groups import draw_risk_groups

CONFIG = OutcomeConfig()


def asked(**settings):
    return OutcomeConfig.model_validate(settings)


def numbers(kind, values, events=None, classes=0):
    values = np.asarray(values, float)
    happened = np.ones(len(values), bool) if events is None else np.asarray(events)
    return Outcomes(kind, values, happened, classes)


def test_a_table_says_what_is_predicted(tiny_cohort, tiny_sample, tmp_path):
    cohort, table = Cohort(tiny_cohort), tiny_sample / "outcomes.csv"
    survival = collect_outcomes(table, cohort, CONFIG)
    assert (survival.kind, survival.target) == ("survival", "time")
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(p.value for p in survival.patients) == sorted(
        float(row["time"]) for row in rows
    )
    assert sum(p.event for p in survival.patients) == sum(
        row["event"] == "1" for row in rows
    )
    grades = collect_outcomes(table, cohort, asked(target="severity"))
    assert grades.kind == "ordinal"
    assert list(grades.classes) == sorted({row["severity"] for row in rows})
    lung = collect_outcomes(
        table, cohort, asked(target="fev1_percent", covariates=["severity"])
    )
    assert lung.kind == "regression"
    for patient in lung.patients:
        (row,) = [r for r in rows if float(r["fev1_percent"]) == patient.value]
        assert patient.covariates == (float(row["severity"]),)
        assert patient.patient == cohort.record(patient.scans[0]).patient
    lung.save(tmp_path)
    again = OutcomeSet.load(tmp_path)
    assert again.patients == lung.patients
    assert "phantom" not in (tmp_path / "outcomes.json").read_text().lower()


def test_what_is_wrong_with_a_table_of_outcomes_is_said(
    tiny_cohort, tiny_sample, tmp_path
):
    cohort, table = Cohort(tiny_cohort), tiny_sample / "outcomes.csv"
    with pytest.raises(BadLabels, match="no column 'age'"):
        collect_outcomes(table, cohort, asked(target="age"))
    with pytest.raises(BadLabels, match="no column 'age'"):
        collect_outcomes(table, cohort, asked(covariates=["age"]))
    scans = sorted((tiny_sample / "scans" / "nifti").glob("*.nii.gz"))

    def rows(*cells):
        path = tmp_path / "t.csv"
        lines = [["path", "a", "b"], *([scans[i], *c] for i, c in enumerate(cells))]
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(lines)
        return path

    with pytest.raises(BadLabels, match="2 columns that could be predicted"):
        collect_outcomes(rows([1, 2], [3, 4]), cohort, CONFIG)
    with pytest.raises(BadLabels, match="is text"):
        collect_outcomes(
            rows([1, "m"], [3, "f"]), cohort, asked(target="a", covariates=["b"])
        )
    with pytest.raises(BadLabels, match="same a"):
        collect_outcomes(rows(["x", 1], ["x", 2]), cohort, asked(target="a"))
    words = collect_outcomes(rows(["x", 1], ["y", 2]), cohort, asked(target="a"))
    assert (words.kind, words.classes) == ("nominal", ("x", "y"))
    left = collect_outcomes(rows([1.5, 1.25], [2.5, ""]), cohort, asked(target="b"))
    assert len(left.patients) == 1
    assert "1 rows have an empty cell" in " ".join(left.remarks)


def test_a_regression_is_the_ridge_of_scikit_learn():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 6)) * [1, 10, 0.1, 1, 1, 1] + 3
    y = x[:, 1] * 0.3 + rng.normal(size=40)
    model = fit_outcome(x, numbers("regression", y), CONFIG)
    z = StandardScaler().fit_transform(x)
    theirs = RidgeCV(alphas=np.logspace(-1, 5, 19)).fit(z, y).predict(z)
    assert model.scores(x)[:, 0] == pytest.approx(theirs)


def test_held_out_scores_come_from_models_that_did_not_see_the_patient():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(40, 60)), rng.normal(size=40)
    noise = numbers("regression", y)
    by_heart = fit_outcome(x, noise, CONFIG).scores(x)[:, 0]
    found = held_out_scores(x, noise, CONFIG, seed=0)
    # Nothing is to be learned: what was memorised does not carry over.
    assert np.corrcoef(by_heart, y)[0, 1] > np.corrcoef(found[:, 0], y)[0, 1] + 0.2
    assert score(noise, found)["R2"] < 0.3
    few = numbers("nominal", [0, 0, 0, 1], classes=2)
    assert held_out_scores(x[:4], few, CONFIG, seed=0) is None


def test_classes_are_scored_as_their_kind():
    truth = numbers("ordinal", [0, 1, 2, 2], classes=3)
    scores = np.eye(3)[[0, 2, 2, 0]]
    found = score(truth, scores)
    assert found["accuracy"] == 0.5
    assert found["one-off"] == 0.75
    # Quadratic weights by hand: squared distances observed over those expected.
    observed = 0 + 1 + 0 + 4
    rows, columns = np.array([1, 1, 2]), np.array([2, 0, 2])
    apart = (np.arange(3)[:, None] - np.arange(3)) ** 2
    expected = (np.outer(rows, columns) / 4 * apart).sum()
    assert found["kappa"] == pytest.approx(1 - observed / expected)
    assert "one-off" not in score(numbers("nominal", [0, 1, 2, 2], classes=3), scores)


def pairs(time, event, risk):
    """Harrell's concordance, pair by pair."""
    right = total = 0.0
    for i in range(len(time)):
        for j in range(len(time)):
            if event[i] and time[i] < time[j]:
                total += 1
                right += (risk[i] > risk[j]) + 0.5 * (risk[i] == risk[j])
    return right / total


def test_survival_follows_what_brings_the_event_nearer(tmp_path):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(80, 12))
    hazard = np.exp(1.2 * x[:, 0])
    time, end = rng.exponential(1 / hazard), rng.uniform(0.5, 4, 80)
    y = numbers("survival", np.minimum(time, end), time < end)
    risk = rng.integers(0, 5, 80).astype(float)
    assert concordance(y, risk) == pytest.approx(pairs(y.value, y.event, risk))
    config = asked(components=12)
    model = fit_outcome(x, y, config)
    assert concordance(y, model.scores(x)[:, 0]) > 0.65
    assert model.weight[0].argmax() == np.abs(model.weight[0]).argmax() == 0
    found = held_out_scores(x, y, config, seed=0)
    assert score(y, found)["concordance"] > 0.6
    caption = draw_risk_groups(tmp_path / "groups.png", y, found[:, 0])
    assert "log-rank p" in caption
    with Image.open(tmp_path / "groups.png") as picture:
        assert min(picture.size) > 300


def test_an_interval_is_as_wide_as_theory_says():
    rng = np.random.default_rng(3)
    y = numbers("nominal", rng.integers(0, 2, 200), classes=2)
    wrong = rng.random(200) < 0.3
    scores = np.eye(2)[np.where(wrong, 1 - y.value, y.value).astype(int)]
    low, high = interval(y, scores, "accuracy", seed=0)
    share = 1 - wrong.mean()
    half = norm.ppf(0.975) * np.sqrt(share * (1 - share) / 200)
    assert low == pytest.approx(share - half, abs=0.02)
    assert high == pytest.approx(share + half, abs=0.02)


def test_nine_of_ten_new_patients_lie_within_the_bound():
    rng = np.random.default_rng(0)
    inside = [
        abs(rng.normal()) <= error_bound(rng.normal(size=19)) for _ in range(2000)
    ]
    # Exactly 18 of 20 by symmetry; 2,000 draws have a standard error of 0.007.
    assert np.mean(inside) == pytest.approx(0.9, abs=0.035)
    assert error_bound(np.arange(9.0) - 4) == 4
    assert error_bound(np.zeros(8)) is None


def test_a_number_is_said_with_its_interval():
    card = OutcomeCard(
        features="handmade",
        spacing_mm=(1, 1, 1),
        kind="regression",
        target="fev1",
        classes=(),
        covariates=(),
        patients=20,
        held_out={},
        error_90=2.5,
    )
    one = LinearModel(np.zeros(1), np.ones(1), np.ones((1, 1)), np.zeros(1))
    assert said(one, card, [7.0], error_90=2.5) == {
        "fev1": 7.0,
        "fev1_low": 4.5,
        "fev1_high": 9.5,
    }
    few = card.model_copy(update={"error_90": None})
    assert said(one, few, [7.0], error_90=None) == {"fev1": 7.0}
