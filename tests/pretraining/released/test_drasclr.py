"""Checkpoints of the released code: against that network written down once more."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from scanlearn.cli import main
from scanlearn.config.run import RunConfig
from scanlearn.encoders.encoder_file import load_encoder, load_encoder_for_frames
from scanlearn.errors import BadRun
from scanlearn.prediction.representation.embedding import Embedder
from scanlearn.pretraining.released.drasclr import import_drasclr, release_convention
from scanlearn.pretraining.released.imported_run import import_run
from scanlearn.runs.folder import RunFolder

#: Name, channels in and out, stride: the specification's table.
TABLE = [
    ("conv1", "bn1", 1, 8, 1),
    ("conv2", "bn2", 8, 8, 2),
    ("downsample1.conv1", "downsample1.bn1", 8, 16, 1),
    ("downsample1.conv2", "downsample1.bn2", 16, 16, 1),
    ("downsample1.conv3", "downsample1.bn3", 16, 16, 2),
    ("downsample2.conv1", "downsample2.bn1", 16, 32, 1),
    ("downsample2.conv2", "downsample2.bn2", 32, 32, 1),
    ("downsample2.conv3", "downsample2.bn3", 32, 32, 2),
    ("downsample3.conv1", "downsample3.bn1", 32, 64, 1),
    ("downsample3.conv2", "downsample3.bn2", 64, 64, 1),
    ("downsample3.conv3", "downsample3.bn3", 64, 64, 2),
    ("conv3", "bn3", 64, 128, 1),
    ("conv4", "bn4", 128, 128, 2),
]


def random_state(experts: int = 8) -> dict[str, Tensor]:
    """Return weights of one encoder with the release's names."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int, spread: float = 1.0) -> Tensor:
        return torch.randn(*shape, generator=generator) * spread

    state = {}
    for conv, norm, cin, cout, _ in TABLE:
        kernels = draw(experts, cout, cin, 3, 3, 3, spread=(27 * cin) ** -0.5)
        state[f"{conv}.weight"] = kernels
        state[f"{conv}.bias"] = draw(cout, spread=0.1)
        state[f"{conv}._routing_fn.fc.weight"] = draw(experts, 3)
        state[f"{conv}._routing_fn.fc.bias"] = draw(experts)
        state[f"{norm}.weight"] = 1 + draw(cout, spread=0.1)
        state[f"{norm}.bias"] = draw(cout, spread=0.1)
        state[f"{norm}.running_mean"] = draw(cout, spread=0.1)
        state[f"{norm}.running_var"] = 1 + draw(cout).square()
        state[f"{norm}.num_batches_tracked"] = torch.tensor(7)
    for layer in ("fc.0", "fc.2"):
        state[f"{layer}.weight"], state[f"{layer}.bias"] = draw(128, 128), draw(128)
    return state


def released(state: dict[str, Tensor], patches: Tensor, locations: Tensor) -> Tensor:
    """Send (n, 32, 32, 32) through the released trunk, sample by sample."""
    rows = []
    for patch, location in zip(patches, locations, strict=True):
        x = patch[None, None]
        for conv, norm, _, _, stride in TABLE:
            fc = f"{conv}._routing_fn.fc"
            gates = torch.sigmoid(
                state[f"{fc}.weight"] @ location + state[f"{fc}.bias"]
            )
            kernel = sum(
                g * w for g, w in zip(gates, state[f"{conv}.weight"], strict=True)
            )
            x = F.conv3d(x, kernel, state[f"{conv}.bias"], stride=stride, padding=1)
            mean, var = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
            x = F.elu(
                F.batch_norm(
                    x, mean, var, state[f"{norm}.weight"], state[f"{norm}.bias"]
                )
            )
        rows.append(x.flatten())
    return torch.stack(rows)


def save(
    path: Path, state: dict[str, Tensor], prefix: str = "module.encoder_q."
) -> Path:
    """Write a checkpoint as the release's training does."""
    named = {prefix + name: x for name, x in state.items()}
    if prefix == "module.encoder_q.":
        named |= {
            f"module.encoder_k.{n}": torch.zeros_like(x) for n, x in state.items()
        }
        named["module.queue"] = torch.zeros(128, 8, 2)
        named["module.queue_ptr"] = torch.zeros(2, dtype=torch.long)
    content = {"epoch": 20, "arch": "custom", "state_dict": named, "optimizer": {}}
    torch.save(content, path)
    return path


@pytest.fixture(scope="module")
def state() -> dict[str, Tensor]:
    return random_state()


@pytest.fixture(scope="module")
def run(state, tmp_path_factory) -> RunFolder:
    folder = tmp_path_factory.mktemp("released")
    checkpoint = save(folder / "checkpoint_0020.pth.tar", state)
    return import_run(import_drasclr(checkpoint), folder / "run")


def test_same_patches_and_locations_give_the_released_numbers(state, run) -> None:
    rng = np.random.default_rng(0)
    hu = rng.uniform(-1100, 300, (6, 32, 32, 32)).astype(np.float32)
    corners = rng.integers([26, 78, 0], [313, 287, 287], (6, 3))
    locations = (2 * corners / [312, 286, 286] - 1).astype(np.float32)
    x = (np.clip(hu, -1024, 240) + 1024) / 632 - 1
    with torch.no_grad():
        expected = released(state, torch.from_numpy(x), torch.from_numpy(locations))
    found = Embedder(run.path).patches(hu, locations)
    assert expected.std() > 0.1
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-5)


@pytest.mark.parametrize("prefix", ["module.encoder_q.", "encoder_q.", "module.", ""])
def test_any_prefix_of_the_query_encoder_is_understood(tmp_path, prefix, run) -> None:
    small = random_state(experts=1)
    one = import_run(
        import_drasclr(save(tmp_path / "c.pth.tar", small, prefix)), tmp_path / "run"
    )
    encoder, card = load_encoder(one.path)
    assert (card.experts, card.width, card.dim) == (1, 8, 128)
    assert torch.equal(encoder.layers[5].conv.weight, small["downsample2.conv1.weight"])


def test_the_run_is_finished_and_names_nobody(run) -> None:
    assert run.state() == "finished"
    config: RunConfig = run.config()
    assert (config.kind, config.imported, config.cohorts) == ("pretrain", "drasclr", ())
    card = json.loads((run.checkpoints / "encoder.json").read_text())
    assert card["spacing_mm"] == [1, 1, 1]
    assert card["patch_voxels"] == 32


def test_locations_follow_the_release_s_formula() -> None:
    """The middle of the lungs' box is the voxel (188, 187, 147.5) of the atlas."""
    ways = release_convention()
    centre = np.array([188, 187, 147.5])
    half = np.array([146.5, -110.5, 137])  # y runs to the front
    for location in ([0, 0, 0], [-0.5, 0.25, 1], [1, -1, 0.1]):
        corner = centre + half * location - 15.5
        expected = 2 * corner / [312, 286, 286] - 1
        np.testing.assert_allclose(ways.locations(np.array(location)), expected, 1e-5)
    assert ways.flipped == (False, True, False)
    patch = np.arange(8).reshape(2, 2, 2)
    np.testing.assert_array_equal(ways.patches(patch), patch[:, ::-1])


def test_for_training_its_kernels_take_locations_of_frames(run) -> None:
    own, card = load_encoder(run.path)
    ours, plain = load_encoder_for_frames(run.path)
    assert plain.convention.flipped_axes == ()
    place = np.array([[0.2, -0.4, 0.6], [-1, 1, 0]], dtype=np.float32)
    theirs = torch.from_numpy(card.convention.locations(place))
    for mine, before in zip(ours.layers, own.layers, strict=True):
        torch.testing.assert_close(
            mine.conv.kernels(torch.from_numpy(place)).flip(-2),
            before.conv.kernels(theirs),
            rtol=1e-4,
            atol=1e-5,
        )


def test_its_landmarks_lie_on_the_release_s_grid(run) -> None:
    embedder = Embedder(run.path)
    landmarks = embedder.atlas.landmarks
    assert 400 < len(landmarks) < 1000
    p = embedder.card.convention.locations(landmarks)
    corners = (p + 1) / 2 * [312, 286, 286]
    np.testing.assert_allclose(corners / 26, np.rint(corners / 26), atol=1e-3)
    assert embedder.atlas.fraction.min() > 0.1


@pytest.mark.parametrize("missing", ["conv1.weight", "downsample2.bn3.running_var"])
def test_what_is_missing_is_named(tmp_path, missing) -> None:
    state = random_state(experts=1)
    del state[missing]
    path = save(tmp_path / "c.pth.tar", state)
    with pytest.raises(BadRun, match=missing):
        import_drasclr(path)


def test_more_coordinates_or_other_widths_are_refused(tmp_path) -> None:
    state = random_state(experts=1)
    state["conv1._routing_fn.fc.weight"] = torch.zeros(1, 6)
    with pytest.raises(BadRun, match="one location"):
        import_drasclr(save(tmp_path / "a.pth.tar", state))
    state = random_state(experts=1)
    state["conv3.weight"] = torch.zeros(1, 100, 64, 3, 3, 3)
    with pytest.raises(BadRun, match=r"layers\.11\.conv\.weight"):
        import_drasclr(save(tmp_path / "b.pth.tar", state))


class Rogue:
    def __reduce__(self):
        return (print, ("this must never run",))


@pytest.mark.parametrize("content", [b"", b"no checkpoint", Rogue(), [1, 2], {"a": 1}])
def test_what_is_no_checkpoint_is_refused_and_runs_no_code(
    tmp_path, content, capsys
) -> None:
    path = tmp_path / "c.pth.tar"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(BadRun, match=r"c\.pth\.tar"):
        import_drasclr(path)
    assert "never run" not in capsys.readouterr().out
    with pytest.raises(BadRun, match="cannot be read"):
        import_drasclr(tmp_path / "absent")


def test_the_command_writes_the_run_once(tmp_path, state, run, monkeypatch, capsys):
    checkpoint = save(tmp_path / "c.pth.tar", state)
    arguments = ["scanlearn", "import-weights", "drasclr", checkpoint, tmp_path / "r"]
    monkeypatch.setattr("sys.argv", [*map(str, arguments), "--json"])
    with contextlib.suppress(SystemExit):
        main()
    written = Path(json.loads(capsys.readouterr().out)["run"])
    same = (run.checkpoints / "encoder.safetensors").read_bytes()
    assert (written / "checkpoints" / "encoder.safetensors").read_bytes() == same
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "exists already" in capsys.readouterr().err
