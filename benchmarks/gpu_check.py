"""DrasCLR's training step on a GPU: time, memory, and how near it comes to the floor.

Needs torch, numpy and pydantic alone: of the package only the networks, losses, queues
and views are imported. Without a GPU it says so and runs small sizes on the CPU.

The floor of a step is the larger of two times: its multiplications at the rate of a
large matrix product, and its maps (each read and written as often as the layers do at
the least) at the rate of a copy, both measured here. Prints one JSON document.

Example: PYTHONPATH=src python benchmarks/gpu_check.py
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor
from torch.nn import functional as F

from scanlearn.nets.contrast import contrastive_loss, local_logits, neighbour_queries
from scanlearn.nets.location_encoder import LocationEncoder, ProjectionHead
from scanlearn.nets.teacher import MomentumTeacher
from scanlearn.pretraining.drasclr.queues import LandmarkQueues
from scanlearn.views.affine import AffineViews
from scanlearn.views.intensity import IntensityViews
from scanlearn.views.patch_views import PatchViews

SIDE, CONTEXT, NEAR = 32, 56, 2

#: Passes over a map at the least: forward (convolution out, norm in and out in one,
#: next convolution in) and twice as many backward.
_PASSES_FORWARD, _PASSES_TRAINING = 4, 12


class Trainer:
    """The recipe's step on one device, from patches in context to the optimiser."""

    def __init__(self, device: torch.device, *, bf16: bool, queue: int) -> None:
        self.device, self.bf16 = device, bf16
        self.encoder = LocationEncoder().to(device)
        self.head = ProjectionHead(128, 128).to(device)
        self.student = [*self.encoder.parameters(), *self.head.parameters()]
        self.teacher = MomentumTeacher(self.encoder, self.head)
        self.queues = LandmarkQueues(8, queue, 128, precision="int8")
        self.queues.to(device)
        self.here = torch.tensor([3], device=device)
        keys = F.normalize(torch.randn(1, queue, 128, device=device), dim=-1)
        whose = torch.arange(10**6, 10**6 + queue, device=device)[None]
        self.queues.put(self.here, keys, whose)
        self.optimiser = torch.optim.SGD(self.student, 0.01, momentum=0.9)
        self.views = PatchViews(
            AffineViews(10, 12, 0.1), IntensityViews(50, 0.25, (0.5, 4.5), 0.25), SIDE
        )
        self.generator = torch.Generator(device).manual_seed(0)

    def view(self, x: Tensor) -> Tensor:
        """View patches in context as the networks take them."""
        return self.views.apply(x, self.views.sample(len(x), self.generator))

    def step(self, patches: Tensor, around: Tensor, places: Tensor) -> Tensor:
        """Take (B, 1, C, C, C), (B, R, C, C, C) in [0, 1264] and (1 + R, 3)."""
        batch = len(patches)
        patients = torch.arange(batch, device=self.device)[None]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            near = self.view(around).transpose(0, 1).flatten(0, 1)[:, None]
            q = self.project(self.view(patches), places[:1])
            r = self.project(near, places[1:])
            self.teacher.follow(self.student, 0.999)
            order = torch.randperm(batch, device=self.device)
            k = self.teacher.keys(self.view(patches), places[:1], order)
            negatives = self.queues.at(self.here)
            both = q[None], neighbour_queries(r.view(1, NEAR, batch, -1))
            losses = [
                contrastive_loss(
                    local_logits(one, k, patients, negatives, temperature=0.2)
                )
                for one in both
            ]
        loss = torch.stack(losses).sum()
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.queues.put(self.here, k, patients)
        return loss.detach()

    def project(self, x: Tensor, places: Tensor) -> Tensor:
        """Return the student's unit vectors."""
        return F.normalize(self.head(self.encoder(x, places)).float(), dim=-1)


def seconds(device: torch.device, work: Callable[[], object], rounds: int) -> float:
    """Return the median time of a work; on a CPU that of the process."""
    clock = time.perf_counter if device.type == "cuda" else time.process_time
    work()
    times = []
    for _ in range(rounds):
        wait(device)
        begin = clock()
        work()
        wait(device)
        times.append(clock() - begin)
    return median(times)


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def rates(device: torch.device, dtype: torch.dtype) -> tuple[float, float]:
    """Return multiply-adds and bytes a second of a matrix product and of a copy."""
    n, size = (8192, 2**30) if device.type == "cuda" else (1024, 2**26)
    a = torch.randn(n, n, device=device).to(dtype)
    x = torch.empty(size // 4, device=device)
    y = torch.empty_like(x)
    return (
        n**3 / seconds(device, lambda: a @ a, 5),
        2 * size / seconds(device, lambda: y.copy_(x), 5),
    )


def work_of(batch: int) -> tuple[float, float]:
    """Return multiply-adds and map elements moved in a step of the encoder's layers."""
    products = elements = 0.0
    side = SIDE
    for layer in LocationEncoder(experts=1).layers:
        cout, cin = layer.conv.weight.shape[1:3]
        side //= layer.conv.stride
        products += 27 * cin * cout * side**3
        elements += cout * side**3
    trained, keys = batch * (1 + NEAR), batch
    return (
        products * (3 * trained + keys),
        elements * (_PASSES_TRAINING * trained + _PASSES_FORWARD * keys),
    )


def measure(
    device: torch.device, *, batch: int, bf16: bool, queue: int, rounds: int
) -> dict[str, object]:
    torch.manual_seed(0)
    trainer = Trainer(device, bf16=bf16, queue=queue)
    side = (CONTEXT,) * 3
    patches = torch.rand(batch, 1, *side, device=device) * 1264
    around = torch.rand(batch, NEAR, *side, device=device) * 1264
    places = torch.rand(1 + NEAR, 3, device=device) * 2 - 1
    taken = seconds(device, lambda: trainer.step(patches, around, places), rounds)
    dtype = torch.bfloat16 if bf16 else torch.float32
    product_rate, byte_rate = rates(device, dtype)
    products, elements = work_of(batch)
    arithmetic = products / product_rate
    traffic = elements * dtype.itemsize / byte_rate
    result: dict[str, object] = {
        "batch": batch,
        "precision": "bf16" if bf16 else "fp32",
        "step_ms": round(taken * 1e3, 2),
        "patches_a_second": round(batch * (2 + NEAR) / taken),
        "floor_ms": {
            "arithmetic": round(arithmetic * 1e3, 2),
            "traffic": round(traffic * 1e3, 2),
        },
        "share_of_floor": round(max(arithmetic, traffic) / taken, 3),
        "arithmetic_utilisation": round(arithmetic / taken, 3),
    }
    if device.type == "cuda":
        result["memory_gb"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
        torch.cuda.reset_peak_memory_stats()
    return result


def same_as_cpu(device: torch.device) -> float:
    """Return the largest difference of features between device and CPU, in fp32."""
    torch.manual_seed(1)
    encoder = LocationEncoder().eval()
    x, places = torch.randn(40, 1, SIDE, SIDE, SIDE), torch.rand(20, 3) * 2 - 1
    with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
        here = encoder(x, places)
        there = encoder.to(device)(x.to(device), places.to(device))
    return float((here - there.cpu()).abs().max())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=0)
    options = parser.parse_args()
    has_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if has_gpu else "cpu")
    torch.set_num_threads(1)
    name = torch.cuda.get_device_name() if has_gpu else "CPU"
    note = "" if has_gpu else "no GPU here: small sizes on the CPU"
    batches, queue = ((32, 64, 128, 256), 4096) if has_gpu else ((4,), 64)
    rounds = options.rounds or (10 if has_gpu else 2)
    steps = [
        measure(device, batch=batch, bf16=bf16, queue=queue, rounds=rounds)
        for batch in batches
        for bf16 in (False, True)
    ]
    result = {
        "device": name,
        "note": note,
        "torch": torch.__version__,
        "largest_difference_to_cpu": same_as_cpu(device),
        "steps": steps,
    }
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
