"""Views as the configuration of a DrasCLR training describes them."""

from __future__ import annotations

import pytest
import torch

from scanlearn.config.drasclr import DrasclrConfig, ViewConfig
from scanlearn.config.run import parse_run_config
from scanlearn.errors import BadConfig
from scanlearn.pretraining.drasclr import DrasclrMethod
from scanlearn.pretraining.drasclr.views import patch_views
from scanlearn.randomness import torch_generator

SCANNER = ViewConfig(kernel_probability=0.5, dose_probability=0.5)


@pytest.mark.parametrize("name", list(DrasclrMethod.offer.presets))
def test_no_preset_changes_kernel_or_dose(name) -> None:
    settings = DrasclrMethod.offer.preset(name, {"kind": "pretrain", "cohorts": ["c"]})
    recipe = parse_run_config(settings).recipe
    assert isinstance(recipe, DrasclrConfig)
    views = patch_views(recipe.views, size=8, voxel_mm=1, units="HU")
    assert views.scanner is None


def test_kernels_and_doses_are_for_ct() -> None:
    with pytest.raises(BadConfig, match="are for CT"):
        patch_views(SCANNER, size=8, voxel_mm=1, units="zscore")
    views = patch_views(SCANNER, size=8, voxel_mm=1, units="HU")
    x = torch.rand(16, 1, 14, 14, 14) * 1264
    draw = views.sample(16, torch_generator(0, "views"))
    found = views.apply(x, draw)
    assert found.shape == (16, 1, 8, 8, 8)
    assert draw.scanner is not None
    kept = (draw.scanner.gain == 0) & (draw.scanner.noise_std == 0)
    assert 0 < int(kept.sum()) < 16
    plain = patch_views(ViewConfig(), size=8, voxel_mm=1, units="HU")
    same = plain.apply(x, plain.sample(16, torch_generator(0, "views")))
    noisy = draw.intensity.noise_std > 0  # other batches draw other voxels of noise
    assert torch.equal(found[kept & ~noisy], same[kept & ~noisy])
    assert not torch.equal(found[~kept], same[~kept])


def test_a_range_of_kernels_has_its_order() -> None:
    with pytest.raises(ValueError, match="softest"):
        ViewConfig(kernel_gain=(1.0, -0.5))
