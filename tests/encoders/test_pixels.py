"""Single images on their way into a network: each pixel from where its grid says."""

from __future__ import annotations

import numpy as np
import pytest

from scanlearn.cohort.record import Intensity
from scanlearn.cohort.slices import square_grid
from scanlearn.encoders.pixels import image_pixels
from scanlearn.scans.files.picture import picture_grid

UNIT = Intensity(units="unit", outside=0.0, percentiles=(0.0, 0.5, 1.0))


@pytest.mark.parametrize(("rows", "columns", "side"), [(60, 96, 32), (50, 40, 96)])
def test_a_picture_of_its_own_coordinates_keeps_them(rows, columns, side) -> None:
    grid = picture_grid(rows, columns, spacing_mm=(0.7, 0.5))
    index = np.stack(np.indices((1, rows, columns)), axis=-1)
    across = grid.to_patient(index)[..., 0]
    x = image_pixels(across / 100, UNIT, side=side)[0].numpy() / 1264 * 100
    square = square_grid(grid, side)
    places = np.stack(np.indices((1, side, side)), axis=-1)
    wanted = square.to_patient(places)[0]
    # Away from the edges, where what lies outside is mixed in.
    low, high = grid.to_patient([[0, 4, 4], [0, rows - 5, columns - 5]])[:, :2]
    inside = ((wanted[..., :2] > low) & (wanted[..., :2] < high)).all(axis=-1)
    assert inside.mean() > 0.3
    np.testing.assert_allclose(x[inside], wanted[..., 0][inside], atol=0.02)
    outside = (
        (wanted[..., :2] < grid.to_patient([0, -4, -4])[:2])
        | (wanted[..., :2] > grid.to_patient([0, rows + 4, columns + 4])[:2])
    ).any(axis=-1)
    assert outside.any()
    assert (x[outside] == 0).all()
