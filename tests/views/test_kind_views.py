"""Radiographs keep their brightness; slices beside them are seen as without them."""

from __future__ import annotations

import pytest
import torch

from scanlearn.config.joint import FilmViews, JointViews
from scanlearn.pretraining.joint.slice_views import image_views

COUNT = 200


def views(**films: object):
    config = JointViews(films=FilmViews(**films), rotate_degrees=0.0, noise_hu=0.0)
    return image_views(config, size=16, area=(0.25, 1.0), film_area=config.films.area)


def drawn(made, film: torch.Tensor):
    ct = torch.zeros(COUNT, dtype=torch.bool)
    return made.sample(ct, film, torch.Generator().manual_seed(0))


def test_films_are_changed_mildly_and_not_mirrored() -> None:
    """Area, contrast, gamma and field of every draw lie within what is asked."""
    film = torch.arange(COUNT) % 2 == 0
    draw = drawn(views(), film)
    area = draw.maps[:, :, :2].det()
    assert float(area[film].min()) >= 0.6
    assert float(area[film].max()) <= 1.0
    for name, low, high in (
        ("gain", 0.9, 1.1),
        ("gamma", 0.95, 1.05),
        ("shift", -0.1, 0.1),
    ):
        value = getattr(draw, name)[film]
        assert low <= float(value.min()) < float(value.max()) <= high
    assert 0.02 < float(draw.field[film].abs().max()) <= 0.03
    # Slices beside them are mirrored, and change as they would alone.
    assert (area[~film] < 0).any()
    alone = drawn(views(), torch.zeros(COUNT, dtype=torch.bool))
    for name in ("maps", "gain", "gamma", "field", "shift", "noise_from"):
        one, other = getattr(draw, name), getattr(alone, name)
        assert torch.equal(one[~film], other[~film])
        assert not torch.equal(one[film], other[film])


def test_brightness_survives_in_a_film() -> None:
    """The order of two films' means, which a slice's changes would turn around."""
    dark, bright = 400 + 40 * torch.rand(2, COUNT, 1, 16, 16)
    bright = bright + 200
    film = torch.ones(COUNT, dtype=torch.bool)
    made = views()
    ct = torch.zeros_like(film)
    seen = [
        made.apply(x, drawn(made, film), ct).mean(dim=(1, 2, 3)) for x in (dark, bright)
    ]
    assert (seen[0] < seen[1]).all()


def test_without_settings_of_their_own_films_are_seen_as_slices() -> None:
    made = image_views(JointViews(), size=16, area=(0.25, 1.0))
    assert made.films is None
    film = torch.ones(COUNT, dtype=torch.bool)
    plain = drawn(made, ~film)
    assert torch.equal(drawn(made, film).maps, plain.maps)
    assert float(plain.gain.max()) > 1.2
    assert pytest.approx(16) == made.size
