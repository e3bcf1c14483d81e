"""Clinical numbers in the Predict dock: asked for where a model knows them."""

from __future__ import annotations

from typing import Any

import pytest

from scanlearn.gui.predict.dock import PredictDock
from scanlearn.tasks.outcome.covariates import read_covariates

pytestmark = pytest.mark.viewer


@pytest.fixture
def dock(open_dock: Any, make_finished: Any, qtbot: Any) -> PredictDock:
    recipe = {"name": "outcome", "covariates": ["age", "pack_years_smoked"]}
    make_finished("2026-11-21_outcome", "finetune", recipe=recipe)
    make_finished("2026-11-22_lungs", "finetune")
    dock = open_dock(PredictDock)
    qtbot.waitUntil(lambda: dock.models.list.count() == 4, timeout=10_000)
    return dock


def choose(dock: PredictDock, name: str) -> None:
    paths = [dock.models.list.itemData(n) for n in range(dock.models.list.count())]
    names = [path.name if path else "" for path in paths]
    dock.models.list.setCurrentIndex(names.index(name))


def test_numbers_are_asked_of_a_model_that_knows_them(dock: PredictDock) -> None:
    choose(dock, "2026-11-22_lungs")
    assert not dock.covariates.isVisible()
    choose(dock, "2026-11-21_outcome")
    box = dock.covariates
    assert box.isVisible()
    assert list(box.fields) == ["age", "pack_years_smoked"]
    assert box.arguments() == []
    assert box.missing() == ""
    box.fields["age"].setText("63")
    assert "pack_years_smoked" in box.missing()
    for text in ("many", "nan", "inf"):
        box.fields["pack_years_smoked"].setText(text)
        assert "must be a number" in box.missing()
    box.fields["pack_years_smoked"].setText(" 12.5")
    assert box.missing() == ""
    # What the dock says is what the terminal reads.
    option, said = box.arguments()
    assert option == "--covariates"
    assert read_covariates(said, list(box.fields)).of_all == (63.0, 12.5)
    choose(dock, "2026-11-22_lungs")
    assert not box.isVisible()
    assert box.arguments() == []
