"""What the training runs on: device, precision, threads."""

from __future__ import annotations

import ctypes
import math
import os
import platform
import sys
from collections.abc import Iterable

import psutil
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs

from scanlearn.config.engine import EngineConfig
from scanlearn.engine.several_processes import PATIENCE, meet_the_others
from scanlearn.errors import BadConfig

#: Options of glibc's ``mallopt``: what is freed at the top of the heap stays up to the
#: first, larger arrays than the second are asked of the system one by one.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def make_accelerator(config: EngineConfig) -> Accelerator:
    """Return the Accelerate front end for a configuration.

    Under ``accelerate launch`` or ``torchrun`` this joins the other processes.
    """
    device = choose_device(config.device)
    meet_the_others(on_card=device == "cuda")
    beside = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    cores = ((os.cpu_count() or 1) - 1) // beside
    torch.set_num_threads(config.threads or max(1, cores))
    return Accelerator(
        cpu=device == "cpu",
        mixed_precision=choose_precision(config.precision, device),
        gradient_accumulation_steps=config.accumulate,
        step_scheduler_with_optimizer=False,
        kwargs_handlers=[
            # Stages freeze parts, and an encoder has layers that a decoder leaves out.
            DistributedDataParallelKwargs(find_unused_parameters=True),
            InitProcessGroupKwargs(timeout=PATIENCE),
        ],
    )


def count_processes(
    config: EngineConfig, sizes: Iterable[int], *, most: int | None = None
) -> int:
    """Return how many processes a training shall have.

    So many as are asked for; else one a graphics card, as far as all ``sizes`` divide
    evenly among them, and ``most`` at most.
    """
    if config.processes is not None:
        return config.processes
    cards = torch.cuda.device_count() if choose_device(config.device) == "cuda" else 1
    some, common = max(1, min(cards, most or cards)), math.gcd(*sizes)
    return next(count for count in range(some, 0, -1) if common % count == 0)


def choose_device(wanted: str) -> str:
    """Return the device to use, or say that the wanted one is absent.

    For a CPU it also sees to it that the arrays of a step are kept for the next.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    device = wanted
    if wanted == "auto":
        device = next(device for device in present if present[device])
    if device == "cpu":
        _keep_freed_memory()
    if not present[device]:
        raise BadConfig(
            f"engine.device is '{wanted}', but this machine has none",
            next_step="Use engine.device=auto or cpu",
        )
    return device


def _keep_freed_memory() -> None:
    """Let arrays up to 256 MB stay with the process when they are freed (glibc).

    By default most go back to the system at once and the next ones are made of new,
    empty pages: a sixth of the time of DrasCLR's step in fp32.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_TRIM_THRESHOLD, 2**30)
        libc.mallopt(_MMAP_THRESHOLD, 2**28)


def choose_precision(wanted: str, device: str) -> str:
    """Return the mixed precision; ``auto`` is bf16 where there is hardware for it.

    On a CPU with AVX-512 BF16 the U-Net's step takes a third of the time, DrasCLR's
    three quarters; without it bf16 is emulated and slower.
    """
    if wanted != "auto":
        return wanted
    has_bf16 = {
        "cuda": torch.cuda.is_bf16_supported,
        "cpu": lambda: torch.cpu.get_capabilities().get("avx512_bf16", False),
    }
    return "bf16" if device in has_bf16 and has_bf16[device]() else "no"


def mixed_precision(device: torch.device) -> torch.autocast:
    """Return the autocast context in which a trained network is used."""
    use_bf16 = choose_precision("auto", device.type) == "bf16"
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=use_bf16)


def memory_in_use(device: torch.device) -> int:
    """Return the most bytes taken on a GPU, or what this process holds now."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_reserved(device))
    return int(psutil.Process().memory_info().rss)


def device_name(device: torch.device) -> str:
    """Return what people call a device, as a model card says it."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    if device.type == "mps":
        return "Apple GPU"
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"


def describe_device() -> str:
    """Say in one line what a training would run on."""
    if torch.cuda.is_available():
        free, _ = torch.cuda.mem_get_info()
        text = f"CUDA: {torch.cuda.get_device_name()}, {free / 2**30:.0f} GB free"
        cards = torch.cuda.device_count()
        several = f"; {cards} cards, trained on by one process each"
        return text + several if cards > 1 else text
    memory = psutil.virtual_memory().available / 2**30
    kind = "Apple GPU" if torch.backends.mps.is_available() else "CPU"
    return f"{kind}: {os.cpu_count()} cores, {memory:.0f} GB memory free"
