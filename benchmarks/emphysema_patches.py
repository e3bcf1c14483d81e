"""Few labels on emphysema patches: frozen features of an encoder beside controls.

Six classes of the Chest Imaging Platform's patches (31 x 31 pixels). The file has no
patients, and neighbours in it overlap, so each class is cut into four contiguous
blocks: three to learn from, one to test on. The encoder is pre-trained without labels
on the three learning blocks alone.

    python benchmarks/emphysema_patches.py PATCHES.mat --out emphysema_patches.json
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from scipy.io import loadmat
from torch import nn
from torch.nn import functional as F

from scanlearn.features.handmade import handmade_features, histogram_features
from scanlearn.features.linear import fit_logistic
from scanlearn.metrics.class_scores import balanced_accuracy
from scanlearn.randomness import numpy_generator, seed_everything, torch_generator

LABELS = (1, 5, 10, 20, 50)
BLOCKS, SEEDS, DRAWS = 4, 5, 4
Features = Callable[[np.ndarray], np.ndarray]


class SmallNet(nn.Module):
    """Three convolutional levels; a patch is the mean and spread of each."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        sides = [(2, width), (width, 2 * width), (2 * width, 4 * width)]
        self.levels = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(i, o, 3, stride=2 if n else 1, padding=1, bias=False),
                nn.BatchNorm2d(o),
                nn.ReLU(),
                nn.Conv2d(o, o, 3, stride=2 if n == 0 else 1, padding=1, bias=False),
                nn.BatchNorm2d(o),
                nn.ReLU(),
            )
            for n, (i, o) in enumerate(sides)
        )
        self.dim = 4 * width

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map two density windows (n, 2, H, W) to the last level's mean."""
        for level in self.levels:
            x = level(x)
        return x.mean(dim=(2, 3))

    def joined(self, x: torch.Tensor) -> torch.Tensor:
        """Return mean and standard deviation of every level."""
        found = []
        for level in self.levels:
            x = level(x)
            found += [x.mean(dim=(2, 3)), x.std(dim=(2, 3))]
        return torch.cat(found, dim=1)


def windows(hu: torch.Tensor) -> torch.Tensor:
    """Return patches (n, H, W) in HU as a wide and a narrow window (n, 2, H, W)."""
    wide, narrow = (hu + 1000) / 1000, (hu + 1000) / 300
    return torch.stack([wide.clamp(0, 1.2), narrow.clamp(0, 1.2)], dim=1) * 2 - 1


def view(hu: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return a random view: crop of 0.35 to 1 of the area, turned, flipped, noisy."""
    n = len(hu)

    def draw(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    side, angle = draw(0.35, 1.0).sqrt(), draw(0, 2 * torch.pi)
    flip = torch.where(draw(-1, 1) > 0, 1.0, -1.0)
    c, s = side * angle.cos(), side * angle.sin()
    room = 1 - side
    x, y = draw(-1, 1) * room, draw(-1, 1) * room
    maps = torch.stack([c * flip, -s, x, s * flip, c, y], dim=1).view(n, 2, 3)
    grid = F.affine_grid(maps, [n, 1, *hu.shape[1:]], align_corners=False)
    turned = F.grid_sample(
        hu[:, None], grid, padding_mode="reflection", align_corners=False
    )[:, 0]
    shift = 15 * torch.randn(n, 1, 1, generator=generator)
    noise = draw(0, 20, 1, 1) * torch.randn(turned.shape, generator=generator)
    return turned + shift + noise


def contrastive(z1: torch.Tensor, z2: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the loss of SimCLR (Chen et al., ICML 2020)."""
    z = F.normalize(torch.cat([z1, z2]), dim=1)
    similar = z @ z.T / temperature
    similar.fill_diagonal_(-torch.inf)
    n = len(z1)
    return F.cross_entropy(similar, torch.arange(2 * n).roll(n))


def pretrained(patches: np.ndarray, seed: int, epochs: int) -> SmallNet:
    """Pre-train on patches without labels."""
    seed_everything(seed, "initial weights")
    net = SmallNet()
    head = nn.Sequential(nn.Linear(net.dim, 128), nn.ReLU(), nn.Linear(128, 64))
    parts = nn.ModuleList([net, head])
    hu = torch.from_numpy(patches.astype(np.float32))
    batch = 256
    steps = epochs * (len(hu) // batch)
    optimiser = torch.optim.AdamW(parts.parameters(), lr=2e-3, weight_decay=1e-4)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    generator = torch_generator(seed, "views")
    parts.train()
    for _ in range(steps):
        chosen = torch.randperm(len(hu), generator=generator)[:batch]
        z = [head(net(windows(view(hu[chosen], generator)))) for _ in range(2)]
        optimiser.zero_grad()
        contrastive(*z, temperature=0.5).backward()
        optimiser.step()
        rate.step()
    return net.eval()


def network_features(net: SmallNet, *, joined: bool) -> Features:
    def of(patches: np.ndarray) -> np.ndarray:
        x = windows(torch.from_numpy(patches.astype(np.float32)))
        with torch.no_grad():
            return (net.joined(x) if joined else net(x)).numpy()

    return of


def from_scratch(
    patches: np.ndarray, classes: np.ndarray, test: np.ndarray, seed: int
) -> np.ndarray:
    """Train the same network and a linear layer end to end on the labels alone."""
    seed_everything(seed, "scratch")
    net = SmallNet()
    layer = nn.Linear(net.dim, int(classes.max()) + 1)
    parts = nn.ModuleList([net, layer])
    optimiser = torch.optim.AdamW(parts.parameters(), lr=2e-3, weight_decay=1e-2)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=80)
    hu, y = torch.from_numpy(patches.astype(np.float32)), torch.from_numpy(classes)
    generator = torch_generator(seed, "views")
    parts.train()
    for _ in range(80):
        chosen = torch.randint(len(hu), (min(128, 8 * len(hu)),), generator=generator)
        logits = layer(net(windows(view(hu[chosen], generator))))
        optimiser.zero_grad()
        F.cross_entropy(logits, y[chosen]).backward()
        optimiser.step()
        rate.step()
    parts.eval()
    with torch.no_grad():
        x = windows(torch.from_numpy(test.astype(np.float32)))
        return layer(net(x)).argmax(dim=1).numpy()


def read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return patches (n, 31, 31) in HU, their classes, and their blocks."""
    cells = loadmat(path)["EmphyPatch"].ravel()
    patches = [np.moveaxis(cell, 2, 0).astype(np.float32) for cell in cells]
    classes = [np.full(len(p), k) for k, p in enumerate(patches)]
    blocks = [np.arange(len(p)) * BLOCKS // len(p) for p in patches]
    return np.concatenate(patches), np.concatenate(classes), np.concatenate(blocks)


def run(path: Path, epochs: int, seeds: int, *, scratch: bool) -> dict[str, object]:
    patches, classes, blocks = read(path)
    scores: dict[str, dict[int, list[float]]] = {}
    spent = []
    for seed in range(seeds):
        out = blocks == seed % BLOCKS
        learn = np.flatnonzero(~out)
        begin = time.process_time()
        net = pretrained(patches[learn], seed, epochs)
        spent.append(time.process_time() - begin)
        seed_everything(seed, "untrained")
        bare = SmallNet().eval()
        kinds: dict[str, Features] = {
            "histogram": histogram_features,
            "histogram and texture": handmade_features,
            "untrained": network_features(bare, joined=True),
            "pre-trained, last level": network_features(net, joined=False),
            "pre-trained, all levels": network_features(net, joined=True),
        }
        found = {name: of(patches) for name, of in kinds.items()}
        for n in LABELS:
            for draw in range(DRAWS):
                rng = numpy_generator(seed, "labels", n, draw)
                few = np.concatenate(
                    [
                        rng.choice(learn[classes[learn] == k], n, replace=False)
                        for k in range(6)
                    ]
                )
                for name, x in found.items():
                    model = fit_logistic(x[few], classes[few])
                    guess = model.scores(x[out]).argmax(axis=1)
                    _note(scores, name, n, seed, classes[out], guess)
                if scratch and draw == 0:
                    guess = from_scratch(patches[few], classes[few], patches[out], seed)
                    _note(scores, "from scratch", n, seed, classes[out], guess)
        print(f"seed {seed}: {spent[-1]:.0f} s of CPU to pre-train", flush=True)
    table = {
        name: {n: _interval(np.array(list(by.values()))) for n, by in rows.items()}
        for name, rows in scores.items()
    }
    return {
        "balanced_accuracy": table,
        "seeds": seeds,
        "draws": DRAWS,
        "epochs": epochs,
        "pretraining_cpu_seconds": float(np.mean(spent)),
    }


def _note(scores, name, n, seed, truth, guess) -> None:
    rows = scores.setdefault(name, {}).setdefault(n, {})
    rows.setdefault(seed, []).append(balanced_accuracy(truth, guess))


def _interval(by_seed: np.ndarray) -> dict[str, float]:
    """Return mean and 95 % interval over seeds (Student's t)."""
    means = by_seed.mean(axis=1)
    half = 0.0
    if len(means) > 1:
        half = float(stats.t.ppf(0.975, len(means) - 1) * stats.sem(means))
    mean = float(means.mean())
    return {
        "mean": round(mean, 4),
        "low": round(mean - half, 4),
        "high": round(mean + half, 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("patches", type=Path)
    parser.add_argument("--out", type=Path, default=Path("emphysema_patches.json"))
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--no-scratch", action="store_true")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    found = run(asked.patches, asked.epochs, asked.seeds, scratch=not asked.no_scratch)
    asked.out.write_text(json.dumps(found, indent=1))
    print(f"{'labels a class':26}", *(f"{n:>16}" for n in LABELS))
    for name, row in found["balanced_accuracy"].items():
        cells = (
            f"{c['mean']:.3f} {c['low']:.2f}-{c['high']:.2f}" for c in row.values()
        )
        print(f"{name:26}", *(f"{cell:>16}" for cell in cells))


if __name__ == "__main__":
    main()
