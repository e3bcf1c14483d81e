"""Every recipe trains, validates, exports and predicts on a card that is none.

Torch's fake CUDA tensors hold no values, so that code which asks for one cannot run,
and a build without CUDA can move nothing to them. Here a tensor "on the card" is one of
the CPU behind a wrapper whose device is ``meta``: every operation is computed, and one
that mixes devices, as CUDA would not, is an error. What CUDA allows is allowed: scalars
of the CPU, indices of the CPU, copies.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from accelerate import Accelerator, PartialState
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_flatten, tree_map

from scanlearn import app
from scanlearn.config.run import to_yaml
from scanlearn.encoders import encoder_file
from scanlearn.engine import devices
from scanlearn.prediction.representation.embedding_file import embed
from scanlearn.runs.events import Finished, Step
from scanlearn.runs.folder import RunFolder
from scanlearn.tasks.registry import task_of
from scanlearn.tasks.shared.predict_scans import predict_scans
from scanlearn.worker import train_run

CARD = torch.device("meta")
_aten, _tensor = torch.ops.aten, torch.tensor
_COPIES = {_aten._to_copy.default, _aten.copy_.default, _aten.copy.default}
_INDEXED = {
    *(_aten.index.Tensor, _aten.index_put_.default, _aten.index_put.default),
    _aten._unsafe_index.Tensor,
}


class MixedDevices(RuntimeError):
    """What CUDA would say: expected all tensors to be on the same device."""


class OnCard(torch.Tensor):
    """A tensor of the CPU behind a wrapper of the card."""

    @staticmethod
    def __new__(cls, inner: torch.Tensor) -> OnCard:
        return torch.Tensor._make_wrapper_subclass(
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=CARD,
            requires_grad=inner.requires_grad,
        )

    def __init__(self, inner: torch.Tensor) -> None:
        self.inner = inner

    def __repr__(self) -> str:
        return f"OnCard({self.inner})"

    def tolist(self) -> Any:
        """Give the numbers, as a card does after waiting for them."""
        return self.inner.tolist()

    def numpy(self, **_: Any) -> Any:
        """Refuse, as a card does."""
        raise TypeError("can't convert a tensor of the card to numpy: use cpu() first")

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


class Card(TorchDispatchMode):
    """While it is entered, tensors made for ``meta`` lie on the card."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        return compute(func, args, kwargs or {})


class CardNumbers(TorchFunctionMode):
    """While it is entered, numbers are made and drawn on the device they are for."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func is torch.Tensor.new_tensor and isinstance(args[0], OnCard):
            return args[0].inner.new_tensor(*args[1:], **kwargs).to(CARD)
        drawn_by = kwargs.get("generator")
        if drawn_by is not None:
            on = getattr(args[0], "device", None) if args else None
            goal = torch.device(kwargs.get("device") or on or "cpu")
            if goal.type != drawn_by.device.type:
                raise MixedDevices(f"{func} by a generator of another device")
        return func(*args, **kwargs)


def tensor(data: Any, *, device: Any = "cpu", **kwargs: Any) -> torch.Tensor:
    """Make a tensor of numbers, as ``torch.tensor``."""
    return _tensor(data, **kwargs).to(device or "cpu")


def compute(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """Do an operation on the CPU, if its tensors lie where they may."""
    flat, _ = tree_flatten((args, kwargs))
    tensors = [x for x in flat if isinstance(x, torch.Tensor)]
    there = any(isinstance(x, OnCard) for x in tensors)
    goal = kwargs.get("device")
    wanted = there if goal is None else torch.device(goal).type == CARD.type
    if there and func not in _COPIES:
        checked = tensors[:1] if func in _INDEXED else tensors
        for x in checked:
            if not isinstance(x, OnCard) and x.dim():
                raise MixedDevices(f"{func} of tensors of the card and of the CPU")
    if func in _INDEXED and not isinstance(tensors[0], OnCard) and there:
        raise MixedDevices(f"{func}: indices on the card, and what is indexed is not")
    plain_args, plain = tree_map(_inner, (args, kwargs))
    if goal is not None:
        plain["device"] = torch.device("cpu")
    found = func(*plain_args, **plain)
    if func is _aten.copy_.default:
        return args[0]
    if not wanted:
        return found
    wrapped = tree_map(lambda x: OnCard(x) if type(x) is torch.Tensor else x, found)
    return (
        return_and_correct_aliasing(func, args, kwargs, wrapped) if there else wrapped
    )


def _inner(x: Any) -> Any:
    return x.inner if isinstance(x, OnCard) else x


class CardGenerator(torch.Generator):
    """Random numbers of the card."""

    def __new__(cls, device: Any = "cpu") -> CardGenerator:
        made = super().__new__(cls)
        made.where = torch.device(device)
        return made

    def __init__(self, device: Any = "cpu") -> None:
        pass

    @property
    def device(self) -> torch.device:
        return self.where


class _Autocast(torch.autocast):
    """Lower precision, which the card has not."""

    def __new__(cls, device_type: str, *_: Any, **__: Any) -> Any:
        if device_type == CARD.type:
            return contextlib.nullcontext()
        return super().__new__(cls)


class _NoGrad:
    """What inference mode is, but for its tensors."""

    def __enter__(self) -> None:
        self.without = torch.no_grad()
        self.without.__enter__()

    def __exit__(self, *error: object) -> None:
        self.without.__exit__(*error)


def _shapes_here(card: Any) -> dict[str, torch.Size]:
    return {name: x.shape for name, x in card.build().state_dict().items()}


@pytest.fixture
def card(monkeypatch) -> Iterator[None]:
    """Let the machine have a card for as long as a test."""

    def on_card(config: Any) -> Accelerator:
        made = Accelerator(cpu=True, gradient_accumulation_steps=config.accumulate)
        PartialState().device = made.state.device = CARD
        return made

    old = devices.choose_device
    for module in list(sys.modules.values()):
        if getattr(module, "choose_device", None) is old:
            monkeypatch.setattr(module, "choose_device", lambda _wanted: CARD.type)
    # The shapes that a card promises are asked of ``meta`` itself.
    monkeypatch.setattr(encoder_file, "promised_shapes", _shapes_here)
    save = torch.save
    monkeypatch.setattr(app, "make_accelerator", on_card)
    monkeypatch.setattr(torch, "Generator", CardGenerator)
    monkeypatch.setattr(torch, "tensor", tensor)
    monkeypatch.setattr(torch, "autocast", _Autocast)
    monkeypatch.setattr(torch, "save", lambda x, file: save(tree_map(_inner, x), file))
    # Inference tensors have no version, which wrappers need: the same without them.
    for name in ("__enter__", "__exit__"):
        monkeypatch.setattr(torch.inference_mode, name, getattr(_NoGrad, name))
    torch.__future__.set_swap_module_params_on_conversion(True)
    with Card(), CardNumbers():
        yield
    torch.__future__.set_swap_module_params_on_conversion(False)


def test_a_mixture_is_found(card) -> None:
    there, here = torch.ones(2, 2, device=CARD), torch.ones(2, 2)
    assert (there + torch.tensor(1.0)).tolist() == [[2, 2], [2, 2]]
    assert there.cpu().numpy().tolist() == here.tolist()
    assert there[torch.tensor([1])].device == CARD
    for mixed in (
        lambda: there + here,
        lambda: torch.cat([there, here]),
        lambda: here[torch.tensor([1]).to(CARD)],
        lambda: torch.rand(2, generator=torch.Generator(), device=CARD),
    ):
        with pytest.raises(MixedDevices):
            mixed()
    with pytest.raises(TypeError, match="numpy"):
        there.numpy()


@pytest.mark.parametrize(
    "name",
    [
        *("patches", "patches queue", "slices swav", "slices deepcluster"),
        *("volumes", "whole slices", "crops", "spheres", "boxes"),
    ],
)
def test_nothing_lies_elsewhere(
    every_recipe, card, name, tiny_sample, tiny_cohort, films, tmp_path
) -> None:
    run = RunFolder(shutil.copytree(every_recipe[name].path, tmp_path / name))
    few = {"steps": 3, "validate_every": 2, "save_every": 2, "log_every": 1}
    config = run.config()
    engine = config.engine.model_copy(update=few)
    config = config.model_copy(update={"engine": engine})
    (run.path / "config.yaml").write_text(to_yaml(config), encoding="utf-8")
    events = list(train_run(run))
    assert isinstance(events[-1], Finished), getattr(events[-1], "details", events[-1])
    assert [e.step for e in events if isinstance(e, Step)] == [1, 2, 3]
    assert run.process()["device"] == CARD.type
    if config.kind == "pretrain":
        embed(run, config.cohorts[0])
        return
    scan = tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz"
    source = films / "scans" / "film0.png" if name == "boxes" else scan
    (found,) = predict_scans(task_of(config), run, source, tmp_path / "out")
    assert found.is_file()
