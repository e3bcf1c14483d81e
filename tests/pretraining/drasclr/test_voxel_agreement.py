"""Clusters of voxels told by a whole U-Net, beside the contrast of patches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import ndimage

from scanlearn.comparison.untrained import write_untrained
from scanlearn.config.run import RunConfig, parse_run_config
from scanlearn.encoders.decoder_file import take_decoder
from scanlearn.encoders.encoder_file import load_encoder_for_frames
from scanlearn.engine.devices import make_accelerator
from scanlearn.engine.loop import train
from scanlearn.engine.optimisers import make_optimiser
from scanlearn.errors import BadConfig
from scanlearn.nets.location_unet import LocationUNet
from scanlearn.pretraining.drasclr.recipe import Drasclr
from scanlearn.runs.folder import RunFolder
from scanlearn.views.normalise import shifted

ENGINE = {"steps": 4, "device": "cpu", "precision": "no", "threads": 1}


def configured(cohort: Path, **changes: Any) -> RunConfig:
    recipe = {
        "name": "drasclr",
        "encoder": {"width": 2, "dim": 16, "experts": 2},
        "head_dim": 8,
        "landmarks": {"step_mm": 40, "at_most": 4},
        "batch": 4,
        "queue": 0,
        "in_batch": True,
        "neighbours": 0,
        "clean_batches": 2,
        "dense": 2.0,
        "voxels": {"clusters": 6, "batch": 2},
        "optimiser": {"learning_rate": 5e-3},
    }
    return parse_run_config(
        {
            "kind": "pretrain",
            "cohorts": [cohort],
            "recipe": recipe | changes,
            "engine": ENGINE,
        }
    )


def made(cohort: Path, **changes: Any) -> Drasclr:
    torch.manual_seed(0)
    return Drasclr(configured(cohort, **changes)).train()


def test_features_are_those_of_the_whole_scan(tiny_cohort) -> None:
    """Smoothed intensities where the location says, in all four scans."""
    recipe = made(tiny_cohort)
    tiles, scans = recipe.by_voxel.tiles, recipe.cohorts.scans
    matched = 0
    for number in range(12):
        tile = tiles[number]
        assert tile["tiles"].shape == (1, 32, 32, 32)
        assert tile["tile_features"].shape == (5, 32, 32, 32)
        inner = tile["tile_features"][:, 12:20, 12:20, 12:20].numpy()
        place = np.moveaxis(inner[2:], 0, -1)
        for index, scan in enumerate(scans):
            at = scan.grid.to_index(scan.frame.to_patient(place.reshape(-1, 3)))
            at = np.rint(at).astype(int).T
            shape = np.array(scan.grid.shape)[:, None]
            if (at < 0).any() or (at >= shape).any():
                continue
            stored = recipe.cohorts.read(index, (0, 0, 0), scan.grid.shape)
            grey = shifted(torch.from_numpy(stored), scan.units).numpy()
            smooth = [ndimage.gaussian_filter(grey, s, truncate=4) for s in (0.7, 2)]
            found = [s[tuple(at)].reshape(8, 8, 8) for s in smooth]
            if np.allclose(found[1], inner[1], rtol=0.01, atol=2):
                assert_allclose(found[0], inner[0], rtol=0.01, atol=2)
                matched += 1
    assert matched >= 6  # tiles near no border of their scan


def test_the_decoder_learns_and_is_left_beside_the_encoder(tiny_cohort, tmp_path):
    recipe = made(tiny_cohort)
    accelerator = make_accelerator(configured(tiny_cohort).engine)
    source = recipe.batches(0, configured(tiny_cohort).engine, accelerator)
    optimiser = make_optimiser(recipe.parameter_groups(), recipe.optimiser)
    before = [p.detach().clone() for p in recipe.by_voxel.unet.stages.parameters()]
    told = []
    for step in range(20):
        recipe.before_step(step, 20)
        result = recipe(next(source))
        optimiser.zero_grad()
        result.loss.backward()
        optimiser.step()
        recipe.after_step(result.carry)
        told.append(float(result.values["dense"]))
    assert sum(told[-5:]) < sum(told[:5])
    after = list(recipe.by_voxel.unet.stages.parameters())
    assert not any(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert "dense" in recipe.health(6).values

    run = RunFolder.create(tmp_path / "run", configured(tiny_cohort))
    recipe.export(run.checkpoints, step=6)
    encoder, card = load_encoder_for_frames(run.path)
    assert card.decoder
    # Patches have 16 voxels, but the U-Net's tiles reached every layer.
    for mine, theirs in zip(encoder.layers, recipe.encoder.layers, strict=True):
        pairs = zip(mine.parameters(), theirs.parameters(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    for stride in (1, 2):
        unet = LocationUNet(encoder, classes=2, stride=stride, full=True)
        assert take_decoder(unet, run.path)
        wanted = recipe.by_voxel.unet.stages.state_dict()
        for name, x in unet.stages.state_dict().items():
            assert torch.equal(x, wanted[name])
    twin = write_untrained(run.path, tmp_path / "twin", seed=1)
    assert not take_decoder(unet, twin.path)


def test_a_stopped_training_goes_on_as_if_it_had_not_been(tiny_cohort, tmp_path):
    """Clusters, tiles and decoder come back."""

    def begin(folder: Path, stop_after: int) -> dict[str, torch.Tensor]:
        config = configured(tiny_cohort)
        torch.manual_seed(0)
        recipe, count = Drasclr(config), iter(range(1, 99))
        for _ in train(
            recipe,
            config.engine,
            folder / "checkpoints",
            accelerator=make_accelerator(config.engine),
            should_stop=lambda: next(count) >= stop_after,
        ):
            pass
        return recipe.state_dict()

    expected = begin(tmp_path / "whole", 99)
    begin(tmp_path / "parts", 2)
    found = begin(tmp_path / "parts", 99)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in found)


def test_a_dense_encoder_has_no_u_net(tiny_cohort) -> None:
    with pytest.raises(BadConfig, match="no U-Net"):
        configured(tiny_cohort, encoder={"architecture": "dense"})
