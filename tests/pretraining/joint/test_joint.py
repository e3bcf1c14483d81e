"""The joint method as a recipe: its stages, what they freeze, and that it learns."""

from __future__ import annotations

import copy
import itertools
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from PIL import Image

from scanlearn.cohort.slices import slice_cohorts
from scanlearn.comparison.untrained import write_untrained
from scanlearn.config.run import merge, parse_run_config
from scanlearn.encoders.decoder_file import take_decoder
from scanlearn.encoders.encoder_file import load_encoder, load_slice_encoder
from scanlearn.engine.checkpoints import Checkpoints
from scanlearn.engine.devices import make_accelerator
from scanlearn.engine.loop import train
from scanlearn.engine.optimisers import make_optimiser
from scanlearn.errors import BadCohort, BadConfig, BadRun
from scanlearn.nets.slice_unet import SliceUNet
from scanlearn.new_run import new_pretraining, pretraining_config
from scanlearn.pretraining.joint.attention_picture import looks_at
from scanlearn.pretraining.joint.clean_images import clean_images
from scanlearn.pretraining.joint.recipe import Joint
from scanlearn.pretraining.joint.sizes import JointViewSets
from scanlearn.pretraining.registry import method_named, method_of
from scanlearn.randomness import seed_everything
from scanlearn.runs.events import Health, Message
from scanlearn.runs.folder import RunFolder

#: The specification's tiny sizes: milliseconds a step on one core.
SMALL: dict[str, Any] = {
    "name": "joint",
    "trunk": {"architecture": "small", "width": 8},
    "transformer": {
        "dim": 32,
        "layers": 1,
        "heads": 2,
        "head_width": 16,
        "hidden": 36,
        "stride": 2,
        "kernel": 4,
        "reach": 1.0,
    },
    "image_side": 32,
    "image_crop": 24,
    "slice_side": 24,
    "slices": 8,
    "images_a_volume": 4,
    "head_dim": 16,
    "batch": 16,
    "volume_batch": 4,
    "images": {"clusters": 8, "samples_a_cluster": 4, "freeze_steps": 2},
    "volumes": {"clusters": 4, "samples_a_cluster": 2, "freeze_steps": 2},
    "stages": {"warm": 4, "mask": 2, "joint": 4},
}
ENGINE = {
    "steps": 10,
    "device": "cpu",
    "precision": "no",
    "threads": 1,
    "save_every": 3,
    "validate_every": 2,
    "log_every": 1,
}
METHODS = ["deepcluster", "swav"]


@pytest.fixture(autouse=True)
def _own_accelerator():
    """Accelerate keeps device and precision for a whole process: begin anew."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


def configured(cohorts: list[Path], *, engine: dict | None = None, **changes: Any):
    return parse_run_config(
        {
            "kind": "pretrain",
            "cohorts": cohorts,
            "recipe": merge(SMALL, changes),
            "engine": ENGINE | (engine or {}),
        }
    )


def make(cohorts: list[Path], **changes: Any) -> Joint:
    torch.manual_seed(0)
    return Joint(configured(cohorts, **changes)).train()


def walk(recipe: Joint, steps: int):
    """Train as the engine does; yields the step, its stage and result."""
    engine = configured([Path()], engine={"steps": steps}).engine
    source = recipe.batches(0, engine, Accelerator(cpu=True))
    optimiser = make_optimiser(recipe.parameter_groups(), recipe.optimiser)
    for step in range(steps):
        recipe.train()
        recipe.before_step(step, steps)
        result = recipe(next(source))
        optimiser.zero_grad()
        result.loss.backward()
        optimiser.step()
        recipe.after_step(result.carry)
        yield step, recipe.stage, result


def copied(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: x.clone() for name, x in module.state_dict().items()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> list[bool]:
    return [torch.equal(one[name], other[name]) for name in one]


@pytest.mark.parametrize("method", METHODS)
def test_the_stages_follow_and_freeze(mixed_cohorts, method) -> None:
    """Acceptance 9: hidden slices leave the trunk bit-identical, statistics too."""
    recipe = make(mixed_cohorts, clustering=method)
    told, parts = [], {}
    for _, stage, result in walk(recipe, 10):
        told.append(stage)
        assert math.isfinite(float(result.loss.detach()))
        values = set(result.values)
        if stage == "warm":
            assert values == {"intra"}
            parts["trunk"] = copied(recipe.encoder.trunk)
            parts["project"] = copied(recipe.encoder.project)
            parts["transformer"] = copied(recipe.encoder.transformer)
        elif stage == "mask":
            assert values == {"masked", "copied", "guessed"}
            assert all(same(parts["trunk"], recipe.encoder.trunk.state_dict()))
            assert all(same(parts["project"], recipe.encoder.project.state_dict()))
            now = recipe.encoder.transformer.state_dict()
            assert not any(
                torch.equal(parts["transformer"][n], now[n])
                for n in now
                if n.endswith("keys.weight")
            )
        else:
            assert values == {"intra", "inter", "masked", "copied", "guessed"}
    assert told == ["warm"] * 4 + ["mask"] * 2 + ["joint"] * 4
    assert not any(same(parts["project"], recipe.encoder.project.state_dict()))
    assert recipe.encoder.trunk.training


def test_pixels_are_told_wherever_the_trunk_learns(mixed_cohorts, tmp_path) -> None:
    """Their loss counts in A and C, and the decoder is left beside the encoder."""
    pixels = {"clusters": 5, "crop": 32, "batch": 3}
    recipe = make(mixed_cohorts, dense=2.0, pixels=pixels)
    for _, stage, result in walk(recipe, 10):
        assert ("dense" in result.values) == (stage != "mask")
        if stage == "warm":
            assert recipe.by_pixel is not None
            chance = float(recipe.by_image.chance), float(recipe.by_pixel.chance)
            parts = [float(result.values[name]) for name in ("intra", "dense")]
            whole = parts[0] * chance[0] + 2 * parts[1] * chance[1]
            assert float(result.loss.detach()) == pytest.approx(whole, rel=1e-4)
    health = recipe.health(10)
    assert health is not None
    assert "dense" in health.values
    (tmp_path / "checkpoints").mkdir()
    recipe.export(tmp_path / "checkpoints", step=10)
    encoder, card = load_slice_encoder(tmp_path)
    assert card.decoder
    unet = SliceUNet(encoder, classes=2, context=False)
    assert take_decoder(unet, tmp_path)
    assert all(same(unet.stages.state_dict(), recipe.by_pixel.unet.stages.state_dict()))
    # The numbers of crops never come twice.
    asked = [recipe.plan.request(n).crops for n in range(10)]
    numbers = [number for crops in asked for _, number in crops]
    assert len(numbers) == len(set(numbers)) == 8 * 3


def test_tokens_and_features_have_their_shapes(mixed_cohorts) -> None:
    """Acceptance 1."""
    recipe = make(mixed_cohorts)
    recipe.before_step(9, 10)
    batch = recipe.data.stacks([0, 7])
    tokens, lengths = recipe.volume_tokens(batch, "views")
    assert tokens.shape == (4, 8, 32)
    assert lengths.tolist() == [8, 6, 8, 6]
    assert (tokens[1, 6:] == 0).all()
    z = recipe.encoder.volumes(tokens, lengths)
    assert z.shape == (4, 32)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(4))
    views = recipe.image_features(recipe.data.images([0, 30]), "views")
    assert [v.shape for v in views] == [(2, 16), (2, 16)]
    torch.testing.assert_close(views[0].norm(dim=1), torch.ones(2))
    joined, _ = recipe.encoder.images(torch.rand(3, 1, 24, 24))
    assert joined.shape == (3, 8 + 16 + 32 + 64)
    torch.testing.assert_close(joined.square().sum(dim=1), torch.full((3,), 4.0))


@pytest.mark.parametrize(
    ("changes", "images", "volumes"),
    [
        ({"intra": 0.0}, False, {"inter", "masked", "copied", "guessed"}),
        ({"inter": 0.0}, True, {"intra", "masked", "copied", "guessed"}),
        ({"masked": 0.0}, True, {"intra", "inter"}),
    ],
)
def test_a_weight_of_zero_leaves_a_loss_out(
    mixed_cohorts, changes, images, volumes
) -> None:
    """The arms of an ablation are configurations."""
    stages = {"warm": 0, "mask": 0, "joint": 1}
    recipe = make(mixed_cohorts, stages=stages, **changes)
    ((_, stage, result),) = walk(recipe, 1)
    assert stage == "joint"
    assert set(result.values) == volumes
    assert ("image_ids" in result.carry) == images


def test_losses_are_added_with_their_weights(mixed_cohorts) -> None:
    def loss_of(**weights: float) -> float:
        stages = {"warm": 0, "mask": 0, "joint": 1}
        still = {"transformer": {"dropout": 0.0}}
        recipe = make(mixed_cohorts, stages=stages, **still, **weights)
        recipe.before_step(0, 1)
        accelerator = Accelerator(cpu=True)
        batch = next(recipe.batches(0, configured([Path()]).engine, accelerator))
        return float(recipe(batch).loss.detach())

    none = {"intra": 0.0, "inter": 0.0, "masked": 0.0}
    parts = [loss_of(**(none | {name: 1.0})) for name in none]
    weights = {"intra": 0.5, "inter": 2.0, "masked": 3.0}
    expected = 0.5 * parts[0] + 2 * parts[1] + 3 * parts[2]
    assert loss_of(**weights) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_a_stopped_training_goes_on_as_if_it_had_not_been(
    mixed_cohorts, tmp_path, method
) -> None:
    """In every stage: banks, clusters, queue and kept tokens come back."""
    config = configured(
        mixed_cohorts,
        clustering=method,
        volumes={"queue": 4},
        views={"local_crops": 1, "local_side": 16},
        stages={"rates": [1.0, 0.5, 0.5]},
        dense=0.5,
        pixels={"clusters": 5, "crop": 32, "batch": 3},
    )

    def begin(folder: Path, stop_after: int) -> None:
        asked = itertools.count(1)
        torch.manual_seed(0)
        for _ in train(
            Joint(config),
            config.engine,
            folder,
            accelerator=make_accelerator(config.engine),
            should_stop=lambda: next(asked) >= stop_after,
        ):
            pass

    begin(tmp_path / "whole", 99)
    expected = Checkpoints(tmp_path / "whole").load("last")
    for stop_after in (2, 5, 7):
        folder = tmp_path / str(stop_after)
        begin(folder, stop_after)
        begin(folder, 99)
        found = Checkpoints(folder).load("last")
        assert found["step"] == 10
        assert all(same(found["recipe"], expected["recipe"]))
        for name in ("images", "volumes"):
            one, other = found["memory"][name], expected["memory"][name]
            assert torch.equal(one["assigned"], other["assigned"])


def test_training_brings_views_to_agree(mixed_cohorts) -> None:
    """Losses fall below that of guessing, and a volume is known from another view."""
    recipe = make(
        mixed_cohorts,
        engine={"steps": 60},
        stages={"warm": 24, "mask": 12, "joint": 24},
        optimiser={"learning_rate": 3e-3, "warmup": 0.0},
    )
    told: dict[str, list[float]] = {}
    for _, stage, result in walk(recipe, 60):
        for name, value in result.values.items():
            told.setdefault(f"{stage} {name}", []).append(float(value))

    def mean(name: str, first: int, last: int | None) -> float:
        values = told[name][first:last]
        return sum(values) / len(values)

    assert mean("warm intra", -8, None) < 0.93
    assert mean("mask masked", -4, None) < 0.8 * mean("mask masked", 0, 2)
    assert mean("joint masked", -5, None) < 0.9 * mean("joint masked", 0, 5)
    with torch.no_grad():
        recipe.eval()
        batch = recipe.data.stacks(list(range(11)))
        z = recipe.encoder.volumes(*recipe.volume_tokens(batch, "test"))
    cosines = z[:11] @ z[11:].T
    others = cosines[~torch.eye(11, dtype=torch.bool)]
    assert float(cosines.diag().mean()) > float(others.mean()) + 0.1
    health = recipe.health(60)
    assert health is not None
    assert health.light in ("green", "amber")
    assert {"images_usage", "volumes_source", "images_changed"} <= set(health.values)


def test_a_trunk_that_was_not_trained_here_is_centred_first(mixed_cohorts) -> None:
    """Stage B alone, as after an import: statistics of the tokens' mean are needed."""
    recipe = make(mixed_cohorts, stages={"warm": 0, "mask": 1, "joint": 0})
    before = copied(recipe.encoder.trunk)
    assert [stage for _, stage, _ in walk(recipe, 1)] == ["mask"]
    assert all(same(before, recipe.encoder.trunk.state_dict()))
    assert recipe.encoder.centre.num_batches_tracked > 0
    tokens, lengths = recipe.kept.of(torch.arange(11))
    there = torch.cat([tokens[n, :size] for n, size in enumerate(lengths)])
    torch.testing.assert_close(there.norm(dim=1), torch.ones(len(there)))
    # Not all along one direction.
    assert float(there.mean(dim=0).norm()) < 0.9


@pytest.mark.parametrize(
    "changes",
    [
        {"clustering": "swav", "images": {"sinkhorn": 0, "clusters": 1}},
        {"clustering": "deepcluster", "images": {"clusters": 1}},
    ],
    ids=METHODS[::-1],
)
def test_a_collapsed_training_is_told_in_its_first_epochs(
    mixed_cohorts, changes
) -> None:
    """One prototype and no Sinkhorn: every image is in one cluster."""
    recipe = make(mixed_cohorts, stages={"warm": 1, "mask": 0, "joint": 0}, **changes)
    epochs = 2
    for _ in walk(recipe, epochs * recipe.plan.images.batches):
        pass
    health = recipe.health(1)
    assert health is not None
    assert health.light == "red"
    assert "one cluster" in health.sentence


def test_radiographs_alone_train_the_images(mixed_cohorts) -> None:
    recipe = make(mixed_cohorts[2:])
    assert recipe.by_volume is None
    assert {stage for _, stage, _ in walk(recipe, 3)} == {"warm"}


def test_a_run_tells_its_sources_and_exports_its_encoder(
    mixed_cohorts, tmp_path
) -> None:
    config = configured(mixed_cohorts, volumes={"clusters": 4})
    run = RunFolder.create(tmp_path / "run", config)
    torch.manual_seed(0)
    events = list(
        train(
            Joint(config),
            config.engine,
            run.checkpoints,
            accelerator=make_accelerator(config.engine),
            should_stop=lambda: False,
        )
    )
    (message,) = [e for e in events if isinstance(e, Message)]
    assert "chest (CT): 6 volumes, 24 images" in message.text
    assert "films (DX): 0 volumes, 12 images" in message.text
    assert "hidden slices from step 4" in message.text
    assert "8 of 10 steps change the trunk" in message.text
    assert sum(isinstance(e, Health) for e in events) == 5
    encoder, card = load_slice_encoder(run.path)
    assert (card.units, card.holistic, card.step) == (
        ("HU", "unit", "zscore"),
        True,
        10,
    )
    assert not encoder.training
    with pytest.raises(BadRun, match="encoder of slices"):
        load_encoder(run.path)
    # Another training takes its trunk over.
    second = config.model_copy(update={"start_from": run.path})
    recipe = Joint(second)
    assert all(same(encoder.trunk.state_dict(), recipe.encoder.trunk.state_dict()))
    assert "trunk begins" in recipe.messages()[1].text
    wider = configured(mixed_cohorts, trunk={"width": 4})
    with pytest.raises(BadRun, match="of width 8"):
        Joint(wider.model_copy(update={"start_from": run.path}))


def test_norms_of_the_exported_encoder_are_those_of_unchanged_images(
    mixed_cohorts, tmp_path
) -> None:
    """Against statistics gathered by hand, batch after batch of whole images."""
    recipe = make(mixed_cohorts)
    for _ in walk(recipe, 3):
        pass
    before = copied(recipe)
    (tmp_path / "checkpoints").mkdir()
    recipe.export(tmp_path / "checkpoints", step=3)
    assert all(same(before, recipe.state_dict()))
    encoder, _ = load_slice_encoder(tmp_path)
    own = copy.deepcopy(recipe.encoder).train()
    for name, x, found in norms_by_hand(own, mixed_cohorts):
        wanted = dict(encoder.named_modules())[name]
        torch.testing.assert_close(wanted.running_mean, x, msg=name)
        torch.testing.assert_close(wanted.running_var, found, msg=name)


def norms_by_hand(encoder, cohorts):
    """Yield name, mean and variance of each norm's input, averaged over batches."""
    cohort = slice_cohorts(cohorts, configured(cohorts).recipe)
    seen: dict[str, list[tuple[torch.Tensor, torch.Tensor]]] = {}

    def note(name):
        def hook(_module, inputs, _output):
            rows = inputs[0].detach().movedim(1, 0).flatten(1)
            seen.setdefault(name, []).append((rows.mean(dim=1), rows.var(dim=1)))

        return hook

    for name, module in encoder.named_modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.register_forward_hook(note(name))
    with torch.no_grad():
        for x in clean_images(cohort, side=24, images=512, seed=0):
            encoder.images(x)
    for name, pairs in seen.items():
        means, variances = zip(*pairs, strict=True)
        yield name, torch.stack(means).mean(dim=0), torch.stack(variances).mean(dim=0)


def test_an_untrained_twin_has_the_norms_of_the_same_images(
    mixed_cohorts, tmp_path
) -> None:
    config = configured(mixed_cohorts)
    run = RunFolder.create(tmp_path / "run", config)
    Joint(config).export(run.checkpoints, step=0)
    twin = write_untrained(run.path, tmp_path / "twin", seed=3)
    encoder, card = load_slice_encoder(twin.path)
    assert not card.trained
    seed_everything(3, "untrained")
    own = card.build().train()
    modules = dict(encoder.named_modules())
    for name, mean, variance in norms_by_hand(own, mixed_cohorts):
        torch.testing.assert_close(modules[name].running_mean, mean, msg=name)
        torch.testing.assert_close(modules[name].running_var, variance, msg=name)
    # Where the images are gone, others must be given.
    away = config.model_copy(update={"cohorts": (tmp_path / "gone",)})
    lost = RunFolder.create(tmp_path / "lost", away)
    Joint(config).export(lost.checkpoints, step=0)
    with pytest.raises(BadCohort, match="not here"):
        write_untrained(lost.path, tmp_path / "no", seed=3)
    assert not (tmp_path / "no").exists()
    again = write_untrained(lost.path, tmp_path / "b", seed=3, others=mixed_cohorts)
    other, _ = load_slice_encoder(again.path)
    assert all(same(encoder.state_dict(), other.state_dict()))


@pytest.mark.parametrize("name", ["standard", "paper"])
def test_swav_sees_two_large_and_six_small_crops(mixed_cohorts, name) -> None:
    """Sides and areas of its authors; DeepCluster keeps two large crops."""

    def chosen(clustering: str):
        changes = {"recipe": {"clustering": clustering}}
        return pretraining_config(
            mixed_cohorts,
            method=method_named("joint"),
            preset_name=name,
            changes=changes,
        ).recipe

    large, small = JointViewSets.of(chosen("swav")).crops
    assert (large[2], large[1].size, large[1].slices.area) == (2, 224, (0.14, 1.0))
    assert (small[2], small[1].size, small[1].slices.area) == (6, 96, (0.05, 0.14))
    assert JointViewSets.of(chosen("deepcluster")).crops[1][2] == 0
    hounsfield = torch.zeros(400, dtype=torch.bool)
    draw = small[1].sample(hounsfield, hounsfield, torch.Generator().manual_seed(0))
    shown = draw.maps[:, :, :2].det().abs()  # share of the image that a crop covers
    assert 0.05 <= float(shown.min()) < 0.06
    assert 0.13 < float(shown.max()) <= 0.1401
    views = small[1].apply(torch.rand(400, 1, 32, 32), draw, hounsfield)
    assert views.shape == (400, 1, 96, 96)


def test_a_stage_has_the_rate_of_its_preset(mixed_cohorts) -> None:
    paper = pretraining_config(
        mixed_cohorts, method=method_named("joint"), preset_name="paper"
    )
    assert paper.recipe.optimiser.name == "larc"
    rate, shares = paper.recipe.optimiser.learning_rate, paper.recipe.stages.rates
    assert [rate * share for share in shares] == pytest.approx([0.15, 0.01, 0.01])


def test_a_training_that_cannot_work_is_refused(mixed_cohorts, tmp_path) -> None:
    only = [tmp_path / "one"]
    shutil.copytree(mixed_cohorts[1], only[0])
    for sidecar in sorted((only[0] / "scans").glob("*.json"))[1:]:
        sidecar.unlink()
    changes = {"recipe": {k: v for k, v in SMALL.items() if k != "name"}}
    config = pretraining_config(
        only, method=method_named("joint"), preset_name="quick", changes=changes
    )
    with pytest.raises(BadCohort, match="1 patient"):
        new_pretraining(method_of(config), config, tmp_path / "run")
    with pytest.raises(BadConfig, match="cannot start from another run"):
        pretraining_config(
            only,
            method=method_named("drasclr"),
            preset_name="quick",
            start_from=tmp_path,
        )
    for name in ("quick", "standard", "paper"):
        for method in METHODS:
            changes = {"recipe": {"clustering": method}}
            found = pretraining_config(
                mixed_cohorts,
                method=method_named("joint"),
                preset_name=name,
                changes=changes,
            )
            assert found.recipe.name == "joint"


def test_previews_show_clusters_and_where_the_heads_look(
    mixed_cohorts, tmp_path
) -> None:
    recipe = make(mixed_cohorts)
    assert recipe.previews(tmp_path, step=0) == []
    sizes, captions = [], []
    for step, _, _ in walk(recipe, 10):
        if step in (3, 9):
            (preview,) = recipe.previews(tmp_path, step=step + 1)
            captions.append(preview.caption)
            with Image.open(tmp_path / preview.file) as picture:
                sizes.append(picture.size)
    # Clusters of volumes and the attention are drawn below, once they are trained.
    for word in ("volumes", "attention"):
        assert [word in caption for caption in captions] == [False, True]
    assert sizes[1][1] > sizes[0][1]
    assert sizes[1][0] == sizes[0][0]
    looks, slices = looks_at(recipe.encoder.eval(), recipe.data)
    assert slices == 8
    assert len(looks) == 1
    where, rest = looks[0]
    assert where.shape == rest.shape == (2, 4)
    assert np.allclose(rest, np.linspace(0, 7, 4))
    assert 0 <= where.min() < where.max() <= 7
