"""Sliding-window segmentation against MONAI's inferer.

Prints one JSON document. Same network, same windows, same Gaussian (an eighth of the
window), same number of windows at once; process CPU time on one thread, in turns,
medians of the ratios within rounds. ``network`` is the product's U-Net of the preset
``quick``; ``cheap`` does next to nothing, so that only cutting and blending are left.

Example: python benchmarks/sliding_windows.py --side 160 --rounds 5
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import monai
import torch
from monai.inferers import sliding_window_inference
from torch import Tensor

from scanlearn.engine.devices import choose_device
from scanlearn.nets.location_encoder import LocationEncoder
from scanlearn.nets.location_unet import LocationUNet
from scanlearn.nets.sliding_windows import sliding_windows

CLASSES, BATCH, SIGMA = 3, 4, 0.125


def unet() -> Callable[[Tensor], Tensor]:
    encoder = LocationEncoder(width=4, dim=64, experts=4)
    network = LocationUNet(encoder, classes=CLASSES).eval()
    box = torch.tensor([[-1.0] * 3, [1.0] * 3])
    return lambda x: network(x, box.expand(len(x), 2, 3))


def cheap(x: Tensor) -> Tensor:
    return torch.cat([x, -x, 0.5 * x], dim=1)


def compared(
    network: Callable[[Tensor], Tensor],
    volume: Tensor,
    window: int,
    overlap: float,
    rounds: int,
) -> dict[str, Any]:
    def ours() -> Tensor:
        return sliding_windows(
            volume,
            lambda x, starts: network(x),
            window=window,
            overlap=overlap,
            batch=BATCH,
        )

    def theirs() -> Tensor:
        found = sliding_window_inference(
            volume[None, None],
            roi_size=(window,) * 3,
            sw_batch_size=BATCH,
            predictor=lambda x: network(x).softmax(dim=1),
            overlap=overlap,
            mode="gaussian",
            sigma_scale=SIGMA,
        )
        assert isinstance(found, Tensor)
        return found[0]

    difference = (ours() - theirs()).abs()
    times: dict[str, list[float]] = {"ours": [], "MONAI": []}
    for _ in range(rounds):
        for name, job in (("ours", ours), ("MONAI", theirs)):
            begin = time.process_time()
            job()
            times[name].append(time.process_time() - begin)
    pairs = zip(times["MONAI"], times["ours"], strict=True)
    return {
        "seconds": {name: round(median(took), 2) for name, took in times.items()},
        "times_as_fast": round(median(m / o for m, o in pairs), 2),
        "max_difference": float(difference.max()),
        "mean_difference": float(difference.mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=160)
    parser.add_argument("--window", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    choose_device("cpu")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    volume = torch.randn((options.side,) * 3)
    with torch.inference_mode():
        result = {
            "machine": platform.processor() or platform.machine(),
            "torch": torch.__version__,
            "monai": monai.__version__,
            "volume": list(volume.shape),
            "window": options.window,
            "overlap": {
                str(overlap): {
                    name: compared(
                        network, volume, options.window, overlap, options.rounds
                    )
                    for name, network in (("network", unet()), ("cheap", cheap))
                }
                for overlap in (0.25, 0.5)
            },
        }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
