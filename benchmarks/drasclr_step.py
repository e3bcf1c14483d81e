"""DrasCLR's training step, all landmarks of a scan, and queues, against a plain one.

Prints one JSON document. Variants take turns inside one process and process CPU time is
compared on one thread, so that a busy machine disturbs all of them alike; ratios are
medians of the ratios within rounds.

Example: python benchmarks/drasclr_step.py --parts step scan queue --rounds 3
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional as F

from drasclr_reference import PlainEncoder, PlainStep
from scanlearn.nets.contrast import (
    contrastive_loss,
    local_logits,
    neighbour_queries,
)
from scanlearn.nets.location_encoder import LocationEncoder, ProjectionHead
from scanlearn.nets.teacher import MomentumTeacher
from scanlearn.pretraining.drasclr.queues import LandmarkQueues

SIDE, NEAR, LANDMARKS, LENGTH = 32, 2, 581, 4096
HERE = torch.tensor([7])


class FastStep:
    """The same step from the package's bricks, as the recipe puts them together."""

    def __init__(self, *, bf16: bool, landmarks: int = 8, length: int = LENGTH) -> None:
        self.encoder, self.head = LocationEncoder(), ProjectionHead(128, 128)
        self.student = [*self.encoder.parameters(), *self.head.parameters()]
        self.teacher = MomentumTeacher(self.encoder, self.head)
        self.queues = LandmarkQueues(landmarks, length, 128, precision="int8")
        keys = F.normalize(torch.randn(1, length, 128), dim=-1)
        self.queues.put(HERE, keys, torch.arange(10**6, 10**6 + length)[None])
        self.optimiser = torch.optim.SGD(
            self.student, 0.01, momentum=0.9, weight_decay=1e-4
        )
        self.bf16 = bf16

    def step(self, x: Tensor, y: Tensor, near: Tensor, places: Tensor) -> float:
        """Take what ``PlainStep.step`` takes."""
        batch = len(x)
        patients = torch.arange(batch)[None]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16):
            q = F.normalize(self.head(self.encoder(x, places[:1])).float(), dim=-1)
            around = near.transpose(0, 1).reshape(-1, 1, *near.shape[2:])
            r = F.normalize(self.head(self.encoder(around, places[1:])).float(), dim=-1)
            self.teacher.follow(self.student, 0.999)
            k = self.teacher.keys(y, places[:1], torch.randperm(batch))
            negatives = self.queues.at(HERE)
            queries = neighbour_queries(r.view(1, NEAR, batch, -1))
            loss = sum(
                contrastive_loss(
                    local_logits(one, k, patients, negatives, temperature=0.2)
                )
                for one in (q[None], queries)
            )
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.queues.put(HERE, k, patients)
        return float(loss.detach())


def seconds(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return time.process_time() - begin


def compare(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, object]:
    """Time works in turns; the first is what the others are compared with."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for name, work in works.items():
            if number or name != next(iter(works)):  # the plain one needs no warm-up
                took = seconds(work)
                if number:
                    times[name].append(took)
    first, *others = works
    result: dict[str, object] = {f"{first}_ms": round(median(times[first]) * 1e3, 1)}
    for name in others:
        ratios = [a / b for a, b in zip(times[first], times[name], strict=True)]
        result[name] = {
            "ms": round(median(times[name]) * 1e3, 1),
            "times_as_fast": round(median(ratios), 2),
            "range": [round(min(ratios), 2), round(max(ratios), 2)],
        }
    return result


def step(batch: int, rounds: int) -> dict[str, object]:
    x, y = torch.randn(2, batch, 1, SIDE, SIDE, SIDE)
    near = torch.randn(batch, NEAR, SIDE, SIDE, SIDE)
    places = torch.rand(1 + NEAR, 3) * 2 - 1
    steps = {
        "plain": PlainStep(landmarks=8),
        "fp32": FastStep(bf16=False),
        "bf16": FastStep(bf16=True),
    }
    return compare(
        {
            name: lambda one=one: one.step(x, y, near, places)
            for name, one in steps.items()
        },
        rounds,
    )


def scan(landmarks: int, rounds: int) -> dict[str, object]:
    """Encode all landmarks of one scan, a location each."""
    x, places = torch.randn(landmarks, 1, SIDE, SIDE, SIDE), torch.rand(landmarks, 3)
    plain, fast = PlainEncoder().eval(), LocationEncoder().eval()

    def run(encode: Callable[..., Tensor], bf16: bool) -> None:
        with (
            torch.inference_mode(),
            torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16),
        ):
            for part, where in zip(x.split(64), places.split(64), strict=True):
                encode(part, where)

    return compare(
        {
            "plain": lambda: run(plain.trunk, bf16=False),
            "fp32": lambda: run(fast, bf16=False),
            "bf16": lambda: run(fast, bf16=True),
        },
        rounds,
    )


def queue() -> dict[str, object]:
    """Bytes at the release's sizes, and how far cosines are off."""
    release = 128 * LENGTH * LANDMARKS * 4
    result: dict[str, object] = {"release_megabytes": round(release / 1e6)}
    for precision in ("fp32", "fp16", "int8"):
        queues = LandmarkQueues(LANDMARKS, LENGTH, 128, precision=precision)
        keys = F.normalize(torch.randn(1, LENGTH, 128), dim=-1)
        queues.put(HERE, keys, torch.arange(LENGTH)[None])
        held = queues.at(HERE).keys[0]
        result[precision] = {
            "keys": round(queues.keys.nbytes / release, 3),
            "with_patient_numbers": round(
                (queues.keys.nbytes + queues.patients.nbytes) / release, 3
            ),
            "cosine_error": float((keys[0, :64] @ (held - keys[0]).T).std()),
        }
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", default=["step", "scan", "queue"])
    parser.add_argument("--batches", nargs="+", type=int, default=[32, 64])
    parser.add_argument("--landmarks", type=int, default=LANDMARKS)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    result: dict[str, object] = {
        "machine": platform.processor() or platform.machine(),
        "torch": torch.__version__,
        "rounds": options.rounds,
    }
    if "step" in options.parts:
        result["step"] = {n: step(n, options.rounds) for n in options.batches}
    if "scan" in options.parts:
        result["scan"] = scan(options.landmarks, options.rounds)
    if "queue" in options.parts:
        result["queue"] = queue()
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
