"""The joint method's steps against plain ones; prints one JSON document.

* ``trunk``: forward and backward of slices through ResNet-50 as the release has it
  (three channels, NCHW, fp32), and as a training here does it.
* ``views``: a volume's view by this package, against torchio, volume by volume: its
  affine, noise and, for other scans than CT, bias field and gamma. torchio is for this
  part alone: ``pip install torchio``.
* ``hidden``: a step of the stage with the trunk frozen, on kept tokens and embedding
  the volumes again.
* ``kmeans``: spherical k-means against scikit-learn's on the same unit vectors, ten
  rounds of each from random rows.

All in one process on one thread, in turns; CPU seconds, and the median of the ratios of
each round (``drasclr_step.compare``).

Example: python benchmarks/joint_step.py --parts trunk views --rounds 5
"""

from __future__ import annotations

import argparse
import json
import platform
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from drasclr_step import compare
from scanlearn.config.joint import JointViews
from scanlearn.nets.clustering import spherical_kmeans
from scanlearn.nets.resnet import ResNet, pooled_stages
from scanlearn.nets.slice_encoder import SliceEncoder
from scanlearn.nets.slice_transformer import (
    HiddenSlices,
    SliceTransformer,
    hidden_loss,
    hidden_slices,
)
from scanlearn.randomness import torch_generator
from scanlearn.views.crop_views import CropViews

#: As in the release: slices of a volume, their side, size of a token.
SLICES, SIDE, DIM = 64, 128, 640


def trunk(rounds: int, *, slices: int) -> dict[str, object]:
    plain, own = ResNet("resnet50", channels=3), ResNet("resnet50")
    own = own.to(memory_format=torch.channels_last)
    x = torch.randn(slices, 1, SIDE, SIDE)
    grey = x.contiguous(memory_format=torch.channels_last)
    colours = x.expand(-1, 3, -1, -1).contiguous()

    def step(net: ResNet, images: Tensor, bf16: bool) -> Callable[[], object]:
        def run() -> None:
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                loss = pooled_stages(net(images)).square().mean()
            loss.backward()
            net.zero_grad()

        return run

    return compare(
        {
            "plain": step(plain, colours, bf16=False),
            "fp32": step(own, grey, bf16=False),
            "bf16": step(own, grey, bf16=True),
        },
        rounds,
    )


def views(rounds: int) -> dict[str, object]:
    import torchio

    settings = JointViews()
    own = CropViews(
        size=SIDE,
        area=settings.volume_area,
        rotate_degrees=settings.rotate_degrees,
        mirror=settings.mirror,
        shift_hu=settings.shift_hu,
        noise_hu=settings.noise_hu,
        contrast=settings.contrast,
        gamma=settings.gamma,
        field=settings.field,
    )
    volumes = torch.rand(2, SLICES, SIDE, SIDE) * 1264
    turned = torchio.RandomAffine(scales=0.2, degrees=(0, 15), isotropic=False)
    noise = torchio.RandomNoise(std=(0, 20))
    others = [torchio.RandomBiasField(0.3), torchio.RandomGamma((-0.35, 0.35))]
    generator = torch_generator(0, "benchmark")
    found: dict[str, object] = {}
    for name, is_ct in (("ct", True), ("other", False)):
        chain = torchio.Compose([turned, *([] if is_ct else others), noise])
        hounsfield = torch.full((len(volumes),), is_ct)

        def plain(chain: Callable[[Tensor], Tensor] = chain) -> None:
            for volume in volumes:
                chain(volume[None])

        def batched(hounsfield: Tensor = hounsfield) -> None:
            own.apply(volumes, own.sample(hounsfield, generator), hounsfield)

        found[name] = compare({"torchio": plain, "own": batched}, rounds)
    return found


def hidden(rounds: int, *, volumes: int) -> dict[str, object]:
    transformer = SliceTransformer(DIM, layers=4, heads=8, head_width=64, hidden=720)
    encoder = SliceEncoder(ResNet("resnet50"), transformer, dim=DIM).eval()
    parts = HiddenSlices(DIM)
    stacks = torch.randn(volumes, SLICES, SIDE, SIDE)
    lengths = torch.full((volumes,), SLICES)
    trained = [*transformer.parameters(), *parts.parameters()]
    optimiser = torch.optim.AdamW(trained)
    generator = torch_generator(0, "benchmark")

    def embedded() -> Tensor:
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            return encoder.tokens(stacks, lengths)

    kept = embedded()

    def step(tokens_of: Callable[[], Tensor]) -> Callable[[], object]:
        def run() -> None:
            tokens = tokens_of()
            mask = hidden_slices(lengths, SLICES, share=0.1, generator=generator)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                told = transformer(parts.hide(tokens, mask), lengths)
                loss = hidden_loss(parts.decoder(told), tokens, mask)
            loss.backward()
            optimiser.step()
            optimiser.zero_grad()

        return run

    return compare(
        {"embedded again": step(embedded), "kept": step(lambda: kept)}, rounds
    )


def kmeans(rounds: int, *, rows: int, clusters: int) -> dict[str, object]:
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    x = F.normalize(torch.randn(rows, 128), dim=1)
    array = x.numpy()

    def plain() -> None:
        with threadpool_limits(1):
            KMeans(clusters, init="random", n_init=1, max_iter=10, tol=0).fit(array)

    def own() -> None:
        generator = torch_generator(0, "benchmark")
        spherical_kmeans(x, clusters, iterations=10, generator=generator)

    return compare({"scikit-learn": plain, "own": own}, rounds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    names = ["trunk", "views", "hidden", "kmeans"]
    parser.add_argument("--parts", nargs="+", default=names, choices=names)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--slices", type=int, default=16)
    parser.add_argument("--volumes", type=int, default=1)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--clusters", type=int, default=3000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rounds = options.rounds
    result: dict[str, object] = {
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "rounds": rounds,
    }
    if "trunk" in options.parts:
        result["trunk"] = trunk(rounds, slices=options.slices)
    if "views" in options.parts:
        result["views"] = views(rounds)
    if "hidden" in options.parts:
        result["hidden"] = hidden(rounds, volumes=options.volumes)
    if "kmeans" in options.parts:
        result["kmeans"] = kmeans(rounds, rows=options.rows, clusters=options.clusters)
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
