from __future__ import annotations

import json

import pytest
import torch

from scanlearn.config.segmentation import ClassConfig
from scanlearn.errors import BadRun
from scanlearn.tasks.segmentation.card import (
    SegmenterCard,
    SliceSegmenterCard,
    load_segmenter,
    save_segmenter,
)


@pytest.fixture
def card():
    return SegmenterCard(
        width=2,
        dim=8,
        experts=2,
        tile=32,
        stored_spacing_mm=(1.0, 1.0, 1.0),
        factor=2,
        units="HU",
        frame="lungs",
        classes=(ClassConfig(value=5, name="lobe"),),
        step=7,
    )


@pytest.fixture
def saved(tmp_path, card):
    (tmp_path / "checkpoints").mkdir()
    torch.manual_seed(0)
    network = card.build()
    save_segmenter(tmp_path / "checkpoints", network, card)
    return network


def test_a_segmenter_comes_back_as_it_was(saved, card, tmp_path):
    network, found = load_segmenter(tmp_path)
    assert found == card
    assert not network.training
    mine, theirs = network.state_dict(), saved.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    names = {path.name for path in (tmp_path / "checkpoints").iterdir()}
    assert names == {"model.json", "model.safetensors"}


def test_a_stride_travels_with_the_segmenter_and_old_ones_have_none(tmp_path, card):
    card = card.model_copy(update={"stride": 2})
    (tmp_path / "checkpoints").mkdir()
    save_segmenter(tmp_path / "checkpoints", card.build(), card)
    network, _ = load_segmenter(tmp_path)
    with torch.no_grad():
        scores = network(torch.zeros(1, 1, 32, 32, 32), torch.zeros(1, 2, 3))
    assert scores.shape == (1, 2, 32, 32, 32)
    path = tmp_path / "checkpoints" / "model.json"
    old = json.loads(path.read_text())
    del old["stride"]
    path.write_text(json.dumps(old))
    with pytest.raises(BadRun, match="another network"):
        load_segmenter(tmp_path)


def test_a_segmenter_from_before_plans_is_used_as_it_was(saved, card, tmp_path):
    path = tmp_path / "checkpoints" / "model.json"
    old = json.loads(path.read_text())
    del old["whole"], old["together"]
    path.write_text(json.dumps(old))
    _, found = load_segmenter(tmp_path)
    assert found == card
    assert (found.whole, found.together) == ((), False)
    assert SliceSegmenterCard.model_fields["crops"].default is False
    assert SliceSegmenterCard.model_fields["axis"].default == 0
    assert SliceSegmenterCard.model_fields["stride"].default == 1


def test_a_knee_travels_with_the_segmenter_and_old_ones_have_none(tmp_path, card):
    card = card.model_copy(update={"knee": -0.25})
    (tmp_path / "checkpoints").mkdir()
    save_segmenter(tmp_path / "checkpoints", card.build(), card)
    assert load_segmenter(tmp_path)[0].encoder.tone.knee == -0.25
    path = tmp_path / "checkpoints" / "model.json"
    old = json.loads(path.read_text())
    del old["knee"]
    path.write_text(json.dumps(old))
    assert load_segmenter(tmp_path)[0].encoder.tone.knee is None


def test_a_run_without_a_segmenter_is_told(tmp_path):
    with pytest.raises(BadRun, match=r"model\.json is missing.*finetune"):
        load_segmenter(tmp_path)


@pytest.mark.usefixtures("saved")
@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "{",
        lambda text: text.replace('"location-unet"', '"another"'),
        lambda text: json.dumps(json.loads(text) | {"format": 2}),
        lambda text: json.dumps(json.loads(text) | {"width": "wide"}),
    ],
)
def test_a_card_that_is_not_understood_is_told(tmp_path, damage):
    path = tmp_path / "checkpoints" / "model.json"
    path.write_text(damage(path.read_text()))
    with pytest.raises(BadRun, match=r"model\.json"):
        load_segmenter(tmp_path)


@pytest.mark.usefixtures("saved")
def test_missing_or_damaged_weights_are_told(tmp_path):
    path = tmp_path / "checkpoints" / "model.safetensors"
    whole = path.read_bytes()
    for damaged in (b"", whole[:100], whole[:-50]):
        path.write_bytes(damaged)
        with pytest.raises(BadRun, match=r"model\.safetensors.*Resume"):
            load_segmenter(tmp_path)
    path.unlink()
    with pytest.raises(BadRun, match=r"model\.safetensors"):
        load_segmenter(tmp_path)


@pytest.mark.usefixtures("saved")
def test_weights_of_another_network_are_told(tmp_path):
    path = tmp_path / "checkpoints" / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"width": 4}))
    with pytest.raises(BadRun, match=r"model\.safetensors"):
        load_segmenter(tmp_path)
