"""The random views of a DrasCLR training, as its configuration describes them."""

from __future__ import annotations

from scanlearn.config.drasclr import ViewConfig
from scanlearn.errors import BadConfig
from scanlearn.views.affine import AffineViews
from scanlearn.views.intensity import IntensityViews
from scanlearn.views.normalise import Units
from scanlearn.views.patch_views import PatchViews
from scanlearn.views.scanner import ScannerViews


def patch_views(
    config: ViewConfig, *, size: int, voxel_mm: float, units: Units
) -> PatchViews:
    """Make the views of patches with this side in voxels.

    Raises
    ------
    BadConfig
        If views of a CT scanner are asked for where there is no CT.
    """
    if config.scanner and units != "HU":
        raise BadConfig(
            "views.kernel_probability and dose_probability are for CT; the cohort's "
            f"intensities are {units}",
            next_step="Set both to 0",
        )
    return PatchViews(
        AffineViews(config.rotate_degrees, config.shift_mm / voxel_mm, config.scale),
        IntensityViews(
            config.noise_hu,
            config.noise_probability,
            config.gamma,
            config.gamma_probability,
        ),
        size,
        scanner_views(config, voxel_mm=voxel_mm) if config.scanner else None,
    )


def scanner_views(config: ViewConfig, *, voxel_mm: float) -> ScannerViews:
    """Make the views of a CT by other kernels and doses."""
    return ScannerViews(
        config.kernel_gain,
        config.kernel_probability,
        config.least_dose,
        config.dose_noise_hu,
        config.dose_probability,
        voxel_mm,
    )
