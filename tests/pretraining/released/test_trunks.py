"""Residual trunks of others become runs: acceptance 10 of the joint method."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from scanlearn.cli import main
from scanlearn.encoders.encoder_file import load_slice_encoder
from scanlearn.errors import BadRun
from scanlearn.nets.resnet import ResNet
from scanlearn.prediction.representation.embedding_file import embed
from scanlearn.pretraining.released.imported_run import import_run
from scanlearn.pretraining.released.trunks import import_trunk
from scanlearn.runs.folder import RunFolder


def colour(architecture="resnet18", width=4) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    net = ResNet(architecture, width=width, channels=3).train()
    with torch.no_grad():
        net(torch.randn(4, 3, 40, 40))  # statistics of its own
    return dict(net.state_dict())


#: Where the trunk is in the files of each, and what else they hold.
LAYOUTS = {
    "torchvision": ("", {"fc.weight": (10, 32), "fc.bias": (10,)}),
    "lvm-med": ("", {}),
    "release, stage 3": (
        "state_dict.module.intra.",
        {"state_dict.module.inter.layers.0.attn.to_q.weight": (8, 8, 1)},
    ),
    "release, stage 1": (
        "classy_state_dict.base_model.model.trunk._feature_blocks.",
        {"classy_state_dict.base_model.model.heads.0.clf.weight": (8, 8)},
    ),
}


def write(path: Path, layout: str, weights: dict[str, torch.Tensor]) -> Path:
    prefix, others = LAYOUTS[layout]
    flat = {f"{prefix}{name}": x for name, x in weights.items()}
    flat |= {name: torch.zeros(shape) for name, shape in others.items()}
    nested: dict = {"epoch": 3} if prefix else {}
    for name, x in flat.items():
        parts = name.split(".") if prefix else [name]
        # Dictionaries above the network, dotted names inside it.
        depth = {"state_dict": 1, "classy_state_dict": 3}.get(parts[0], 0)
        if depth == 3:
            depth += 1  # ... .model.trunk or .model.heads
        inside = nested
        for part in parts[:depth]:
            inside = inside.setdefault(part, {})
        inside[".".join(parts[depth:])] = x
    torch.save(nested, path)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("architecture", ["resnet18", "resnet50"])
def test_all_tensors_of_the_trunk_load_by_name(tmp_path, layout, architecture) -> None:
    weights = colour(architecture)
    path = write(tmp_path / "weights.pth", layout, weights)
    method = "torchvision" if layout == "torchvision" else "joint"
    imported = import_trunk(path, method)
    run = import_run(imported, tmp_path / "run")
    encoder, card = load_slice_encoder(run.path)
    assert (card.trunk.architecture, card.trunk.width) == (architecture, 4)
    for name, value in encoder.trunk.state_dict().items():
        if name not in ("conv1.weight", "bn1.running_mean"):
            assert torch.equal(value, weights[name]), name
    assert f"all {len(weights)} tensors" in imported.report[0]
    left = len(LAYOUTS[layout][1])
    assert len(imported.report) == 1 + bool(left)
    if left:
        assert f"{left} other tensors" in imported.report[1]
    told = [e.text for e in RunFolder(run.path).events() if e.kind == "message"]
    assert tuple(told) == imported.report


def test_the_stem_sees_what_colours_saw(tmp_path) -> None:
    """Grey values in [-1, 1] give what the normalised colours gave."""
    weights = colour()
    path = write(tmp_path / "w.pth", "torchvision", weights)
    run = import_run(import_trunk(path, "torchvision"), tmp_path / "run")
    trunk = load_slice_encoder(run.path)[0].trunk
    x = torch.rand(2, 1, 30, 30) * 2 - 1
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    colours = ((x + 1) / 2 - mean) / std
    theirs = F.batch_norm(
        F.conv2d(colours, weights["conv1.weight"], stride=2, padding=3),
        *(weights[f"bn1.{n}"] for n in ("running_mean", "running_var")),
        *(weights[f"bn1.{n}"] for n in ("weight", "bias")),
    )
    with torch.no_grad():
        mine = trunk.bn1(trunk.conv1(x))
    inner = (..., slice(2, -2), slice(2, -2))  # the border is padded with zeros
    torch.testing.assert_close(mine[inner], theirs[inner], atol=1e-4, rtol=1e-4)


def test_an_imported_trunk_embeds_and_is_trained_on(
    tmp_path, mixed_cohorts, capsys, monkeypatch
) -> None:
    path = write(tmp_path / "w.pth", "torchvision", colour())
    out = tmp_path / "run"
    arguments = ["import-weights", "torchvision", str(path), str(out), "--json"]
    monkeypatch.setattr("sys.argv", ["scanlearn", *arguments])
    with contextlib.suppress(SystemExit):
        main()
    answer = json.loads(capsys.readouterr().out)
    assert answer["run"] == str(out)
    assert "resnet18" in answer["report"][0]
    vectors = embed(RunFolder(out), mixed_cohorts[2]).vectors
    assert vectors.shape == (12, 2 * (4 + 8 + 16 + 32))


def test_what_is_no_trunk_is_refused(tmp_path) -> None:
    weights = colour()
    torch.save({"a": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(BadRun, match="conv1"):
        import_trunk(tmp_path / "other.pth", "torchvision")
    del weights["layer2.0.conv1.weight"]
    path = write(tmp_path / "part.pth", "torchvision", weights)
    with pytest.raises(BadRun, match=r"layer2\.0\.conv1"):
        import_trunk(path, "torchvision")
    deeper = colour() | {"layer1.2.conv1.weight": torch.zeros(4, 4, 3, 3)}
    path = write(tmp_path / "deep.pth", "torchvision", deeper)
    with pytest.raises(BadRun, match="3 blocks"):
        import_trunk(path, "torchvision")
