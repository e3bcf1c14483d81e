"""The encoder on disk: two files that another program can use."""

from __future__ import annotations

import json
import time
from pathlib import Path

import psutil
import pytest
import torch

from scanlearn.encoders.encoder_file import (
    CARD,
    WEIGHTS,
    EncoderCard,
    load_encoder,
    load_encoder_for_frames,
    read_card,
    save_encoder,
)
from scanlearn.errors import BadRun
from scanlearn.nets.location_encoder import LocationEncoder

CARD_OF_A_SMALL_ONE = EncoderCard(
    method="drasclr",
    width=1,
    dim=4,
    experts=2,
    patch_voxels=16,
    spacing_mm=(2.0, 2.0, 2.0),
    units="HU",
    atlas={"kind": "lungs", "landmarks": [[0.0, 0.5, -0.5]]},
    step=12,
)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run's folder with a saved encoder."""
    torch.manual_seed(0)
    encoder = LocationEncoder(width=1, dim=4, experts=2)
    with torch.no_grad():
        encoder.train()(torch.randn(4, 1, 16, 16, 16), torch.rand(2, 3))
    (tmp_path / "checkpoints").mkdir()
    save_encoder(tmp_path / "checkpoints", encoder, CARD_OF_A_SMALL_ONE)
    return tmp_path


def test_weights_and_card_come_back(run) -> None:
    encoder, card = load_encoder(run)
    assert card == CARD_OF_A_SMALL_ONE
    torch.manual_seed(0)
    same = LocationEncoder(width=1, dim=4, experts=2)
    with torch.no_grad():
        same.train()(torch.randn(4, 1, 16, 16, 16), torch.rand(2, 3))
    x, where = torch.randn(3, 1, 16, 16, 16), torch.rand(3, 3)
    with torch.no_grad():
        assert torch.equal(encoder(x, where), same.eval()(x, where))


def test_a_knee_travels_with_the_encoder(tmp_path) -> None:
    card = CARD_OF_A_SMALL_ONE.model_copy(update={"knee": -0.25})
    (tmp_path / "checkpoints").mkdir()
    save_encoder(tmp_path / "checkpoints", card.build(), card)
    assert load_encoder(tmp_path)[0].tone.knee == -0.25


def test_an_encoder_saved_before_there_was_a_knee_has_none(run) -> None:
    path = run / "checkpoints" / CARD
    old = json.loads(path.read_text())
    del old["knee"]
    path.write_text(json.dumps(old))
    encoder, card = load_encoder(run)
    assert card == CARD_OF_A_SMALL_ONE
    assert encoder.tone.knee is None


def test_nothing_is_left_beside_the_files(run) -> None:
    names = {path.name for path in (run / "checkpoints").iterdir()}
    assert names == {CARD, WEIGHTS}


def test_saving_again_replaces_both(run) -> None:
    other = LocationEncoder(width=1, dim=4, experts=2)
    card = CARD_OF_A_SMALL_ONE.model_copy(update={"step": 13})
    save_encoder(run / "checkpoints", other, card)
    loaded, found = load_encoder(run)
    assert found.step == 13
    for name, x in loaded.state_dict().items():
        assert torch.equal(x, other.state_dict()[name])


def test_a_run_without_an_encoder_says_so(tmp_path) -> None:
    with pytest.raises(BadRun, match="no trained encoder"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    "change", [{"format": 2}, {"architecture": "unet"}, {"extra": 1}, {"width": "w"}]
)
def test_a_card_that_is_not_ours_is_refused_by_name(run, change) -> None:
    path = run / "checkpoints" / CARD
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(BadRun, match=CARD):
        load_encoder(run)


@pytest.mark.parametrize("text", [b"", b"[1]", b"{", b"\xff\xfe"])
def test_a_damaged_card_is_refused(run, text) -> None:
    (run / "checkpoints" / CARD).write_bytes(text)
    with pytest.raises(BadRun, match="cannot be understood"):
        load_encoder(run)


def test_missing_or_cut_weights_are_refused(run) -> None:
    path = run / "checkpoints" / WEIGHTS
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadRun, match=WEIGHTS):
        load_encoder(run)
    path.unlink()
    with pytest.raises(BadRun, match=WEIGHTS):
        load_encoder(run)


def test_weights_of_another_network_are_refused(run) -> None:
    path = run / "checkpoints" / CARD
    path.write_text(json.dumps({**json.loads(path.read_text()), "experts": 3}))
    with pytest.raises(BadRun, match="another network"):
        load_encoder(run)


def test_a_u_net_takes_the_layers_that_patches_were_large_enough_to_train(
    tmp_path,
) -> None:
    """Of patches of 16 voxels ten layers; of 32 all that it has."""
    card, encoder = CARD_OF_A_SMALL_ONE, CARD_OF_A_SMALL_ONE.build()
    with torch.no_grad():
        for p in encoder.parameters():
            p.add_(1.0)  # as no fresh layer is
    for side, kept in ((16, 10), (32, 12)):
        folder = tmp_path / str(side) / "checkpoints"
        folder.mkdir(parents=True)
        save_encoder(folder, encoder, card.model_copy(update={"patch_voxels": side}))
        found, _ = load_encoder_for_frames(folder.parent)
        whole, _ = load_encoder(folder.parent)
        for number, layer in enumerate(found.layers):
            pairs = zip(
                layer.parameters(), whole.layers[number].parameters(), strict=True
            )
            assert all(torch.equal(a, b) for a, b in pairs) == (
                number < kept or number == 12
            )


@pytest.mark.parametrize(
    "change", [{"width": 10**6}, {"width": 10**9}, {"dim": 10**12}, {"width": 0}]
)
def test_a_card_that_promises_too_much_takes_no_memory(run, change) -> None:
    """A width of a million would be a network of ten terabytes."""
    path = run / "checkpoints" / CARD
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    begun, before = time.process_time(), psutil.Process().memory_info().rss
    with pytest.raises(BadRun, match="another network"):
        load_encoder(run)
    assert time.process_time() - begun < 5
    assert psutil.Process().memory_info().rss - before < 200_000_000
