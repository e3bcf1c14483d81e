"""DrasCLR's views of a batch on the device, against MONAI sample by sample.

A sample has two views of its patch and one of its two neighbours: affine always, noise
and gamma with probability 0.25. Prints one JSON document; how it is measured is told in
``drasclr_step.py``.

Example: python benchmarks/drasclr_views.py --rounds 5
"""

from __future__ import annotations

import argparse
import json
import platform

import numpy as np
import torch
from monai.transforms import Compose, RandAdjustContrast, RandAffine, RandGaussianNoise
from torch import Tensor

from drasclr_step import compare
from scanlearn.config.drasclr import ViewConfig
from scanlearn.pretraining.drasclr.recipe import patch_views
from scanlearn.randomness import torch_generator

SIDE, SHIFT = 32, 12


def by_monai() -> Compose:
    turn = float(np.deg2rad(10))
    return Compose(
        [
            RandAffine(
                prob=1.0,
                rotate_range=(turn,) * 3,
                translate_range=(SHIFT,) * 3,
                scale_range=(0.1,) * 3,
                spatial_size=(SIDE,) * 3,
                padding_mode="border",
            ),
            RandGaussianNoise(prob=0.25, mean=0.0, std=50.0),
            RandAdjustContrast(prob=0.25, gamma=(0.5, 4.5)),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch_generator(0, "benchmark")
    batch = options.batch
    views = patch_views(ViewConfig(), size=SIDE, voxel_mm=1.0, units="HU")
    transform = by_monai()
    transform.set_random_state(0)

    def patches(channels: int, side: int) -> Tensor:
        return torch.rand(batch, channels, side, side, side) * 1264

    plain, around = patches(1, SIDE), patches(2, SIDE)
    wide, wide_around = (patches(n, SIDE + 2 * SHIFT) for n in (1, 2))

    def one_by_one() -> None:
        for patch, near in zip(plain, around, strict=True):
            for x in (patch, patch, near):
                transform(x)

    def batched(patch: Tensor, near: Tensor) -> None:
        for x in (patch, patch, near):
            views.apply(x, views.sample(batch, generator))

    result = {
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "batch": batch,
        "rounds": options.rounds,
        **compare(
            {
                "monai": one_by_one,
                "batched": lambda: batched(plain, around),
                "batched_in_context": lambda: batched(wide, wide_around),
            },
            options.rounds,
        ),
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
