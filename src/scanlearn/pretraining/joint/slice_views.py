"""The views of a configuration, of slices and of radiographs."""

from __future__ import annotations

from scanlearn.config.joint import JointViews
from scanlearn.views.crop_views import CropViews
from scanlearn.views.kind_views import KindViews

Area = tuple[float, float]


def slice_views(config: JointViews, *, size: int, area: Area) -> CropViews:
    """Return views of ``size`` pixels that show a share of a slice within ``area``."""
    return CropViews(
        size=size,
        area=area,
        rotate_degrees=config.rotate_degrees,
        mirror=config.mirror,
        shift_hu=config.shift_hu,
        noise_hu=config.noise_hu,
        contrast=config.contrast,
        gamma=config.gamma,
        field=config.field,
    )


def image_views(
    config: JointViews, *, size: int, area: Area, film_area: Area | None = None
) -> KindViews:
    """Return views of images: of radiographs as ``config.films`` says, if it does.

    Parameters
    ----------
    config
        What may change.
    size
        Side of a view in pixels.
    area
        Share of a slice that is seen.
    film_area
        Share of a radiograph that is seen; as of a slice by default.
    """
    slices, films = slice_views(config, size=size, area=area), config.films
    if films is None:
        return KindViews(slices)
    changed = films.model_dump(exclude={"area"})
    return KindViews(
        slices,
        slice_views(
            config.model_copy(update=changed), size=size, area=film_area or area
        ),
    )
