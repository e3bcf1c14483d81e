from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from scanlearn.config.run import parse_run_config
from scanlearn.pretraining.drasclr.nearest_patches import nearest
from scanlearn.pretraining.drasclr.recipe import Drasclr

SMALL = {
    "name": "drasclr",
    "encoder": {"width": 2, "dim": 16, "experts": 2},
    "head_dim": 8,
    "landmarks": {"step_mm": 40, "at_most": 3},
    "batch": 8,
    "clean_batches": 1,
}


def test_the_nearest_by_hand() -> None:
    # The mean is (10, 10): the rows point up, up and right, right, and down.
    vectors = torch.tensor([[10.0, 12], [11, 11], [13, 10], [6, 7]])
    assert nearest(vectors, 0) == [0, 1, 2, 3]
    assert nearest(vectors, 2) == [2, 1, 0, 3]


@pytest.fixture
def recipe(tiny_cohort):
    torch.manual_seed(0)
    config = {"kind": "pretrain", "cohorts": [tiny_cohort], "recipe": SMALL}
    return Drasclr(parse_run_config(config))


def test_a_picture_follows_every_save(recipe, tmp_path) -> None:
    previews = tmp_path / "previews"
    names = list(recipe.state_dict())
    recipe.export(tmp_path, step=0)
    assert list(recipe.state_dict()) == names
    assert recipe.previews(previews, step=0) == []
    recipe.export(tmp_path, step=7)
    (event,) = recipe.previews(previews, step=7)
    assert (event.step, event.file) == (7, "nearest_0000007.png")
    picture = np.asarray(Image.open(previews / event.file))
    # Three landmarks; four patients, one of them the query.
    assert picture.shape == (3 * 76 + 4, 4 * 76 + 18)
    query = picture[4:76, 4:76]
    assert query.std() > 5
    for column in range(1, 4):
        left = 18 + column * 76
        other = picture[4:76, left : left + 72]
        assert other.std() > 5
        assert not np.array_equal(other, query)
    assert (picture[:, 77:93] == 255).all()
    # Nothing was saved since: no picture of an old encoder.
    assert recipe.previews(previews, step=8) == []
    assert list(recipe.state_dict()) == names
