"""DrasCLR as a recipe: teacher, views, negatives, and that it learns."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
import shutil
import statistics
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from scanlearn.cohort.catalogue import Cohort
from scanlearn.comparison.untrained import write_untrained
from scanlearn.config.drasclr import DrasclrConfig
from scanlearn.config.run import RunConfig, merge, parse_run_config
from scanlearn.encoders.encoder_file import load_encoder
from scanlearn.engine.optimisers import make_optimiser
from scanlearn.engine.recipe import Batch
from scanlearn.errors import BadCohort
from scanlearn.nets.recalibrate import recalibrate_batch_norm
from scanlearn.pretraining.drasclr.clean_batches import clean_batches
from scanlearn.pretraining.drasclr.landmark_batches import PatchRequest
from scanlearn.pretraining.drasclr.patches import PatchData
from scanlearn.pretraining.drasclr.recipe import Drasclr
from scanlearn.pretraining.drasclr.sizes import queue_length
from scanlearn.randomness import seed_everything
from scanlearn.runs.folder import RunFolder

#: Small enough for milliseconds a step on one core.
SMALL: dict[str, Any] = {
    "name": "drasclr",
    "encoder": {"width": 2, "dim": 16, "experts": 2},
    "head_dim": 8,
    "landmarks": {"step_mm": 40, "at_most": 4},
    "batch": 8,
    "queue": 0,
    "queue_precision": "fp32",
    "in_batch": True,
    "momentum": 0.9,
    "neighbours": 0,
    "clean_batches": 8,
}
STILL = {
    "shift_mm": 0,
    "rotate_degrees": 0,
    "scale": 0,
    "noise_probability": 0,
    "gamma_probability": 0,
}


def recipe_config(cohort: Path, **changes: Any) -> RunConfig:
    return parse_run_config(
        {"kind": "pretrain", "cohorts": [cohort], "recipe": merge(SMALL, changes)}
    )


def make(cohort: Path, **changes: Any) -> Drasclr:
    torch.manual_seed(0)
    return Drasclr(recipe_config(cohort, **changes)).train()


def batches(recipe: Drasclr) -> Iterator[Batch]:
    cpu = torch.device("cpu")
    process = SimpleNamespace(process_index=0, num_processes=1, device=cpu)
    engine = RunConfig.model_fields["engine"].default
    return recipe.batches(0, engine, process)


def train(recipe: Drasclr, steps: int) -> list[tuple[float, float]]:
    """Train as the engine does; returns loss and retrieval of each step."""
    source = batches(recipe)
    optimiser = make_optimiser(recipe.parameter_groups(), recipe.optimiser)
    told = []
    for step in range(steps):
        recipe.before_step(step, steps)
        result = recipe(next(source))
        optimiser.zero_grad()
        result.loss.backward()
        optimiser.step()
        recipe.after_step(result.carry)
        told.append((float(result.loss.detach()), float(result.values["retrieval"])))
    return told


def copies(module: torch.nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def test_the_teacher_follows_exactly(tiny_cohort) -> None:
    """T6: the moving average is exact to 1e-6 after three steps."""
    recipe = make(tiny_cohort)
    student = torch.nn.ModuleList([recipe.encoder, recipe.head])
    expected = [p.double() for p in copies(recipe.teacher)]
    assert all(
        torch.equal(mine, theirs)
        for mine, theirs in zip(copies(student), copies(recipe.teacher), strict=True)
    )
    source = batches(recipe)
    optimiser = torch.optim.SGD(student.parameters(), lr=0.5)
    for step in range(3):
        recipe.before_step(step, 3)
        now = copies(student)  # the teacher follows before the student steps
        recipe(next(source)).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        expected = [0.9 * t + 0.1 * s for t, s in zip(expected, now, strict=True)]
    moved = 0.0
    for teacher, known, own in zip(
        recipe.teacher.parameters(), expected, student.parameters(), strict=True
    ):
        torch.testing.assert_close(teacher.double(), known, rtol=0, atol=1e-6)
        moved = max(moved, float((teacher - own).abs().max().detach()))
    assert moved > 1e-3


@pytest.mark.parametrize("neighbours", [0, 2])
def test_gradient_reaches_the_student_alone(tiny_cohort, neighbours) -> None:
    """T5: none reaches the teacher, the keys or the queue."""
    recipe = make(tiny_cohort, queue=4, neighbours=neighbours)
    result = recipe(next(batches(recipe)))
    result.loss.backward()
    assert not result.carry["keys"].requires_grad
    assert not recipe.queues.keys.requires_grad
    assert all(p.grad is None for p in recipe.teacher.parameters())
    (group,) = recipe.parameter_groups()
    teacher = {id(p) for p in recipe.teacher.parameters()}
    assert not teacher & {id(p) for p in group["params"]}
    assert all(p.grad is not None for p in group["params"])
    assert any(p.grad.abs().max() > 0 for p in group["params"])


def test_keys_come_back_in_the_order_of_their_patches(tiny_cohort) -> None:
    recipe = make(tiny_cohort)
    x, where = torch.randn(10, 1, 16, 16, 16), recipe.locations[:2]
    recipe.eval()  # fixed statistics: a key does not depend on its half
    for step in range(3):
        recipe.before_step(step, 3)
        encoder, head = recipe.teacher
        with torch.no_grad():
            direct = F.normalize(head(encoder(x, where)), dim=-1).view(2, 5, -1)
        torch.testing.assert_close(recipe.keys(x, where), direct, rtol=0, atol=1e-5)


def test_keys_are_made_in_halves_with_their_own_statistics(tiny_cohort) -> None:
    recipe = make(tiny_cohort)
    x, where = torch.randn(6, 1, 16, 16, 16), recipe.locations[:1]
    recipe.before_step(0, 1)
    plain = recipe.keys(x, where)[0]
    changed = []
    for number in range(6):
        other = x.clone()
        other[number] += 3
        keys = recipe.keys(other, where)[0]
        far = (keys - plain).abs().amax(dim=1) > 1e-4
        changed.append(frozenset(torch.nonzero(far).flatten().tolist()))
        assert number in changed[-1]
    assert {len(half) for half in changed} == {3}
    assert len(set(changed)) == 2


@pytest.mark.parametrize("batch", [2, 3, 4, 5, 9])
def test_any_batch_the_configuration_allows_can_be_trained(tiny_cohort, batch) -> None:
    recipe = make(tiny_cohort, batch=batch, queue=6)
    plan = recipe.plan
    assert plan.batch == min(batch, 4)
    assert plan.groups == max(1, batch // 4)
    for loss, _ in train(recipe, 2):
        assert math.isfinite(loss)


def test_views_repeat_for_the_same_step_alone(tiny_cohort) -> None:
    """T8: they differ between steps; loader workers draw none."""
    recipe = make(tiny_cohort)
    voxels = next(batches(recipe))["voxels"]

    def view(step: int, name: str = "query") -> torch.Tensor:
        recipe.before_step(step, 9)
        return recipe.view(voxels, name)

    one = view(3)
    assert one.shape == (8, 1, recipe.patch, recipe.patch, recipe.patch)
    assert torch.equal(one, view(3))
    assert not torch.equal(one, view(4))
    assert not torch.equal(one, view(3, "key"))


def test_batches_of_one_step_have_views_of_their_own(tiny_cohort, monkeypatch) -> None:
    recipe = make(tiny_cohort)
    batch, seen = next(batches(recipe)), []
    view = recipe.view

    def watched(voxels: torch.Tensor, name: str) -> torch.Tensor:
        seen.append(view(voxels, name))
        return seen[-1]

    monkeypatch.setattr(recipe, "view", watched)
    for step in (5, 5, 6):
        recipe.before_step(step, 9)
        recipe(batch)
        recipe(batch)
    query, second, again = seen[0], seen[2], seen[4]
    assert not torch.equal(query, second)
    assert torch.equal(query, again)  # a resumed step sees what it would have


def test_views_without_change_are_the_patch_without_its_context(tiny_cohort) -> None:
    recipe = make(tiny_cohort, views={**STILL, "shift_mm": 8})
    still = dataclasses.replace(recipe.views.affine, shift_voxels=0.0)
    recipe.views = dataclasses.replace(recipe.views, affine=still)
    assert (recipe.patch, recipe.context) == (16, 20)
    voxels = next(batches(recipe))["voxels"]
    expected = voxels.flatten(0, 1)[..., 2:18, 2:18, 2:18] / 632 - 1
    torch.testing.assert_close(recipe.view(voxels, "key"), expected, rtol=0, atol=1e-4)


def test_keys_of_every_step_are_enqueued_at_their_landmarks(tiny_cohort) -> None:
    recipe = make(tiny_cohort, batch=2, queue=2, in_batch=False)
    assert recipe.queues.length == 2
    source = batches(recipe)
    for step in range(3):
        recipe.before_step(step, 3)
        batch = next(source)
        result = recipe(batch)
        recipe.after_step(result.carry)
        held = recipe.queues.at(batch["landmarks"])
        assert torch.equal(held.patients, batch["patients"])
        assert torch.equal(held.keys, result.carry["keys"].transpose(0, 1))
        torch.testing.assert_close(held.keys.norm(dim=-1), torch.ones(1, 2))
    assert 0 < recipe.queues.fill < 1


@pytest.mark.parametrize(
    ("batch", "queue", "in_batch", "patients", "length"),
    [
        (128, 4096, False, 9179, 4096),  # the release
        (32, 1024, True, 300, 224),  # 0.8 of the cohort, in whole batches
        (32, 1024, True, 1500, 1024),
        (16, 64, True, 8, 0),  # too few patients: the batch must serve
        (16, 64, False, 8, 8),  # it may not: at least one batch
        (4, 64, True, 8, 4),
        (16, 0, True, 800, 0),
        (30, 100, False, 800, 90),
    ],
)
def test_queues_fit_the_cohort(batch, queue, in_batch, patients, length) -> None:
    config = DrasclrConfig(batch=batch, queue=queue, in_batch=in_batch)
    assert queue_length(config, patients=patients, landmarks=64) == length


def test_a_shared_queue_takes_the_keys_of_all_landmarks(tiny_cohort) -> None:
    recipe = make(tiny_cohort, batch=2, queue=6, shared_queue=True)
    assert (recipe.queues.length, recipe.plan.visit) == (6, 1)
    source = batches(recipe)
    seen = []
    for step in range(3):
        recipe.before_step(step, 3)
        batch = next(source)
        result = recipe(batch)
        recipe.after_step(result.carry)
        seen.append((int(batch["landmarks"]), result.carry["keys"][:, 0]))
    assert len({landmark for landmark, _ in seen}) == 3
    held = recipe.queues.at(torch.zeros(1, dtype=torch.long))
    assert torch.equal(held.keys[0], torch.cat([keys for _, keys in seen]))


def test_an_encoder_may_ignore_locations_for_good(tiny_cohort) -> None:
    recipe = make(tiny_cohort, encoder={"location": False})
    train(recipe, 3)
    x = torch.rand(6, 1, 16, 16, 16)
    recipe.encoder.eval()
    here, there = torch.rand(1, 3), torch.rand(1, 3)
    assert torch.equal(recipe.encoder(x, here), recipe.encoder(x, there))


def test_a_visit_lasts_until_its_queue_was_filled_anew(tiny_cohort) -> None:
    recipe = make(tiny_cohort, batch=2, queue=100)  # 4 patients: a queue of 2
    assert (recipe.queues.length, recipe.plan.visit) == (2, 2)
    assert make(tiny_cohort, visit=7).plan.visit == 7


def test_chance_is_one_in_the_patients_of_a_batch(tiny_cohort) -> None:
    recipe = make(tiny_cohort)
    batch = next(batches(recipe))
    assert batch["patients"].shape == (2, 4)
    recipe(batch)
    health = recipe.health(1)
    assert health is not None
    assert health.values["times_chance"] == pytest.approx(
        4 * health.values["retrieval"]
    )


def test_one_patient_cannot_be_told_apart(tiny_cohort, tmp_path) -> None:
    cohort = Cohort(shutil.copytree(tiny_cohort, tmp_path / "cohort"))
    for key in cohort.keys()[1:]:
        cohort.exclude(key, "test")
    with pytest.raises(BadCohort, match="1 patient"):
        make(cohort.path)


def test_it_learns_four_patients_by_heart(tiny_cohort) -> None:
    recipe = make(tiny_cohort, views=STILL, batch=16, optimiser={"learning_rate": 3e-3})
    told = train(recipe, 70)
    losses, retrieval = (torch.tensor(row) for row in zip(*told, strict=True))
    # Unchanged patches are retrieved from the start; the loss must fall as well.
    assert losses[-10:].mean() < losses[:5].mean() / 3
    assert losses[-10:].mean() < math.log(4) / 4
    assert retrieval[-10:].mean() >= 3 / 4  # three times the chance of 1 in 4
    assert recipe.health(70).light == "green"


def test_an_exported_encoder_gives_the_same_features(tiny_cohort, tmp_path) -> None:
    """T11: its features of clean patches are standardised before the last ELU."""
    recipe = make(tiny_cohort, batch=16)
    train(recipe, 3)
    before = {name: x.clone() for name, x in recipe.state_dict().items()}
    (tmp_path / "checkpoints").mkdir()
    recipe.export(tmp_path / "checkpoints", step=3)
    for name, x in recipe.state_dict().items():
        assert torch.equal(x, before[name]), name

    encoder, card = load_encoder(tmp_path)
    assert not encoder.training
    assert (card.step, card.patch_voxels, card.units) == (3, 16, "HU")
    assert card.spacing_mm == (4.0, 4.0, 4.0)
    assert len(card.atlas["landmarks"]) == len(recipe.locations)
    own = copy.deepcopy(recipe.encoder)
    clean = list(
        clean_batches(recipe.data, recipe.locations, patch=16, batches=8, seed=0)
    )
    recalibrate_batch_norm(own, clean)
    own.eval()
    outputs = []
    encoder.layers[-1].norm.register_forward_hook(
        lambda _module, _inputs, out: outputs.append(out.detach().flatten(1).clone())
    )
    for x, where in clean:
        assert torch.equal(encoder(x, where), own(x, where))
    # Before the last ELU the features of clean patches are standardised.
    last = torch.cat(outputs)
    assert last.mean(dim=0).abs().max() < 0.2
    assert (last.var(dim=0) - 1).abs().max() < 0.2


def test_an_untrained_twin_stands_on_the_same_patches(tiny_cohort, tmp_path) -> None:
    """Its first norm's statistics, from patches read and summed up by hand."""
    recipe = make(tiny_cohort)
    run = RunFolder.create(tmp_path / "run", recipe_config(tiny_cohort))
    recipe.export(run.checkpoints, step=0)
    twin, card = load_encoder(write_untrained(run.path, tmp_path / "t", seed=5).path)
    assert not card.trained
    seed_everything(5, "untrained")
    own = card.build().train()
    inputs: list[torch.Tensor] = []
    own.layers[0].norm.register_forward_hook(
        lambda _module, x, _out: inputs.append(x[0].detach().double())
    )
    data = PatchData(recipe.cohorts, recipe.atlas, side=16)
    clean = clean_batches(data, recipe.locations, patch=16, batches=8, seed=0)
    with torch.no_grad():
        for x, where in clean:
            own(x, where)
    norm = twin.layers[0].norm
    rows = [x.movedim(1, 0).flatten(1) for x in inputs]
    mean = torch.stack([r.mean(dim=1) for r in rows]).mean(dim=0)
    variance = torch.stack([r.var(dim=1) for r in rows]).mean(dim=0)
    torch.testing.assert_close(norm.running_mean.double(), mean, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(norm.running_var.double(), variance, rtol=1e-4, atol=0)


def test_neighbours_are_other_landmarks_of_the_same_scans(tiny_cohort) -> None:
    recipe = make(tiny_cohort, neighbours=2)
    for step, batch in zip(range(3), batches(recipe), strict=False):
        assert batch["near_landmarks"].tolist() == recipe.plan.neighbours_at(step)
        shape = (2, 2, 4, *[recipe.context] * 3)
        assert batch["near_voxels"].shape == shape
        for g, b in itertools.product(range(2), range(4)):
            (scan,) = recipe.plan.scans_of[int(batch["patients"][g, b])]
            for r, landmark in enumerate(batch["near_landmarks"][g].tolist()):
                assert landmark != int(batch["landmarks"][g])
                voxels = recipe.data[PatchRequest(landmark, scan)].voxels
                assert torch.equal(batch["near_voxels"][g, r, b], voxels)


def test_a_neighbour_that_is_the_anchor_has_its_loss(tiny_cohort) -> None:
    """T3: with R = 1 and the anchor's own view as neighbour both losses are equal."""
    recipe = make(tiny_cohort, queue=4, neighbours=1, beta=0.5, views=STILL)
    batch = next(batches(recipe))
    batch["near_voxels"] = batch["voxels"].transpose(1, 2)
    batch["near_landmarks"] = batch["landmarks"][:, None]
    result = recipe(batch)
    local, further = result.values["local"], result.values["neighbouring"]
    torch.testing.assert_close(further, local, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(result.loss.detach(), local + 0.5 * further)


def test_neighbours_of_a_patch_share_their_change(tiny_cohort) -> None:
    loud = {"noise_probability": 1, "noise_hu": 300, "gamma_probability": 0}
    recipe = make(tiny_cohort, neighbours=2, views=loud)
    batch = next(batches(recipe))
    voxels = batch["near_voxels"]
    voxels[:, 1] = voxels[:, 0]  # the same tissue twice
    plain = make(tiny_cohort, views={**loud, "noise_probability": 0})
    one, two = plain.near_view(voxels).view(2, 2, -1).unbind(dim=1)
    assert torch.equal(one, two)  # one affine map
    one, two = recipe.near_view(voxels).view(2, 2, -1).unbind(dim=1)
    assert not torch.equal(one, two)  # but noise of its own


def test_the_neighbours_loss_waits_and_may_be_off(tiny_cohort) -> None:
    recipe = make(tiny_cohort, neighbours=2, beta_after=3)
    batch = next(batches(recipe))
    for step in range(5):
        recipe.before_step(step, 9)
        assert ("neighbouring" in recipe(batch).values) == (step >= 3)
    assert "neighbouring" not in make(tiny_cohort, neighbours=2, beta=0)(batch).values


def test_neighbours_learn_to_find_the_key(tiny_cohort) -> None:
    recipe = make(tiny_cohort, neighbours=2, beta=1, views=STILL, batch=4)
    optimiser = torch.optim.AdamW(recipe.parameter_groups(), lr=3e-3)
    batch, told = next(batches(recipe)), []
    for step in range(40):  # one batch, by heart
        recipe.before_step(step, 40)
        result = recipe(batch)
        optimiser.zero_grad()
        result.loss.backward()
        optimiser.step()
        told.append(float(result.values["neighbouring"]))
    # The shuffled halves hold two patches each, so single steps leap.
    assert statistics.median(told[-15:]) < told[0] / 2


def test_memory_and_weights_continue_a_training(tiny_cohort) -> None:
    changes = {"batch": 2, "queue": 2}
    recipe, other = make(tiny_cohort, **changes), make(tiny_cohort, **changes)
    train(recipe, 4)
    other.load_state_dict(recipe.state_dict())
    other.remember(copy.deepcopy(recipe.memory()))
    assert other.health(4).values == recipe.health(4).values
    batch = next(batches(recipe))
    batches(other)
    losses = []
    for one in (recipe, other):
        one.before_step(4, 9)
        result = one(batch)
        one.after_step(result.carry)
        losses.append(result.loss.detach())
    assert torch.equal(losses[0], losses[1])
    for name, x in recipe.memory()["queues"].items():
        assert torch.equal(other.memory()["queues"][name], x)


def test_the_dense_encoder_trains_with_its_halo(tiny_cohort, tmp_path) -> None:
    dense = {"architecture": "dense", "basis": 2, "width": 2, "dim": 16}
    recipe = make(tiny_cohort, encoder=dense, views={"shift_mm": 4.0})
    assert (recipe.patch, recipe.context) == (39, 41)
    before = copies(recipe.encoder)
    assert all(math.isfinite(loss) for loss, _ in train(recipe, 3))
    moved = [
        not torch.equal(a, b)
        for a, b in zip(before, copies(recipe.encoder), strict=True)
    ]
    # All but the biases before batch norm, whose gradient is zero but for rounding.
    assert sum(moved) >= len(moved) - 4
    (tmp_path / "checkpoints").mkdir()
    recipe.export(tmp_path / "checkpoints", step=3)
    encoder, card = load_encoder(tmp_path)
    assert (card.architecture, card.step, card.patch_voxels) == ("dense-encoder", 3, 39)
    x, z = torch.tensor(recipe.atlas.size_mm, dtype=torch.float64)[[0, 2]]
    assert card.voxel_step[0] == pytest.approx(2 * 4 / float(x))
    assert card.voxel_step[2] == pytest.approx(2 * 4 / float(z))
    torch.testing.assert_close(encoder.axes, recipe.encoder.axes)
