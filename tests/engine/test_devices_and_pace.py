from __future__ import annotations

import pytest
import torch

from scanlearn.config.engine import EngineConfig
from scanlearn.engine import pace as pace_module
from scanlearn.engine.devices import (
    choose_device,
    choose_precision,
    count_processes,
    describe_device,
    make_accelerator,
)
from scanlearn.engine.pace import Pace
from scanlearn.errors import BadConfig


@pytest.fixture
def only_a_cpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.usefixtures("only_a_cpu")
@pytest.mark.parametrize("wanted", ["cuda", "mps"])
def test_an_absent_device_is_told(wanted):
    with pytest.raises(BadConfig, match=f"engine.device is '{wanted}'.*cpu"):
        make_accelerator(EngineConfig(device=wanted))


@pytest.mark.usefixtures("only_a_cpu")
def test_without_a_gpu_the_cpu_is_chosen():
    assert choose_device("auto") == "cpu"
    config = EngineConfig(precision="no", threads=1, accumulate=3)
    accelerator = make_accelerator(config)
    assert accelerator.device.type == "cpu"
    assert accelerator.mixed_precision == "no"
    assert accelerator.gradient_accumulation_steps == 3
    assert torch.get_num_threads() == 1
    assert describe_device().startswith("CPU: ")


def test_a_gpu_is_preferred_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device("auto") == "cuda"
    assert choose_device("cpu") == "cpu"


@pytest.mark.parametrize("has", [True, False])
def test_half_precision_is_chosen_where_there_is_hardware(monkeypatch, has):
    facts = {"avx512_bf16": has}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: facts)
    assert choose_precision("auto", "cpu") == ("bf16" if has else "no")
    assert choose_precision("auto", "mps") == "no"
    assert choose_precision("fp16", "cpu") == "fp16"


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(pace_module.time, "monotonic", lambda: now[0])
    return now


def test_the_time_left_is_that_of_the_mean_step(clock):
    pace = Pace(first_step=10, steps=30, minutes=None)
    assert pace.seconds_left(10) is None
    clock[0] += 8.0
    assert pace.seconds_left(14) == pytest.approx(2.0 * 16)
    assert not pace.is_over()
    clock[0] += 1e9
    assert not pace.is_over()


def test_a_time_limit_ends_the_training(clock):
    pace = Pace(first_step=0, steps=1000, minutes=0.5)
    clock[0] += 10.0
    assert pace.seconds_left(1) == pytest.approx(20.0)
    assert not pace.is_over()
    clock[0] += 20.0
    assert pace.is_over()


@pytest.mark.usefixtures("clock")
def test_no_minutes_are_over_at_once():
    assert Pace(first_step=0, steps=5, minutes=0).is_over()


@pytest.mark.parametrize(
    ("cards", "sizes", "most", "count"),
    [
        *((0, (8,), None, 1), (4, (8,), None, 4), (3, (8,), None, 2)),
        *((8, (32, 4), None, 4), (4, (32,), 3, 2), (4, (1,), None, 1)),
        (4, (7,), None, 1),
    ],
)
def test_a_process_for_each_card_that_a_batch_feeds(
    monkeypatch, cards, sizes, most, count
):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cards > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
    assert count_processes(EngineConfig(), sizes, most=most) == count
    assert count_processes(EngineConfig(processes=5), sizes) == 5
    assert count_processes(EngineConfig(device="cpu"), sizes) == 1


def test_several_cards_are_said(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (40 * 2**30, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some card")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    text = "CUDA: Some card, 40 GB free; 4 cards, trained on by one process each"
    assert describe_device() == text
