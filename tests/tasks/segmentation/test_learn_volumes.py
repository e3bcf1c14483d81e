"""Segmentation fine-tuning on six patients made of blocks."""

from __future__ import annotations

import json
from itertools import islice

import nibabel as nib
import numpy as np
import pytest
import torch

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.config.segmentation import ClassConfig
from scanlearn.errors import BadLabels
from scanlearn.nets.segmentation_loss import IGNORE
from scanlearn.new_run import finetuning_config, new_finetuning
from scanlearn.tasks.registry import task_named
from scanlearn.tasks.segmentation.card import load_segmenter
from scanlearn.tasks.segmentation.labels import collect_training_maps
from scanlearn.tasks.segmentation.learn_volumes import Segmentation
from scanlearn.tasks.shared.label_maps import collect_labels

PATIENTS = 6
AFFINE = np.diag([-4.0, -4.0, 4.0, 1.0])


def _scan(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the HU and labels of a water block with a dense and a soft organ."""
    rng = np.random.default_rng(number)
    hu = np.full((40, 38, 36), -1000.0)
    hu[4:-4, 4:-4, 4:-4] = 0.0
    labels = np.zeros(hu.shape, np.uint8)
    low = rng.integers(6, 10, size=3)
    labels[tuple(slice(a, a + 9) for a in low)] = 3
    labels[tuple(slice(a + 12, a + 20) for a in low)] = 7
    hu[labels == 3] = 200.0
    hu[labels == 7] = -300.0
    return (hu + rng.normal(0, 20, hu.shape)).astype(np.int16), labels


@pytest.fixture(scope="module")
def blocks(home, tmp_path_factory):
    """Return a folder with the cohort and the label maps."""
    base = tmp_path_factory.mktemp("blocks")
    for folder in ("scans", "labels"):
        (base / folder).mkdir()
    for number in range(PATIENTS):
        hu, labels = _scan(number)
        name = f"patient{number}.nii.gz"
        nib.save(nib.Nifti1Image(hu, AFFINE), base / "scans" / name)
        nib.save(nib.Nifti1Image(labels, AFFINE), base / "labels" / name)
    names = {"classes": [{"value": 3, "name": "bone"}, {"value": 7, "name": "fat"}]}
    (base / "labels" / "classes.json").write_text(json.dumps(names))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCANLEARN_HOME", str(home))
        config = PrepareConfig(spacing_mm=4.0, workers=0)
        prepare(base / "scans", base / "cohort", config)
    return base


@pytest.fixture
def make(blocks, tmp_path):
    """Return a function that makes the recipe of a new run."""

    def make(labels=None, **changes) -> Segmentation:
        config = finetuning_config(
            [blocks / "cohort"],
            task=task_named("segmentation"),
            preset_name="quick",
            start_from=None,
            changes={"recipe": SMALL | changes, "engine": {"threads": 1}},
        )
        found = collect_labels(
            labels or blocks / "labels",
            Cohort(blocks / "cohort"),
            labelling=config.recipe.labelling,
        )
        run = new_finetuning(config, found, tmp_path / f"run{len(changes)}")
        torch.manual_seed(0)
        return Segmentation(config, run)

    return make


SMALL = {"spacing_mm": None, "width": 2, "batch": 4, "tile": 32, "augment": False}


def batches(recipe, accelerator, count, first=0):
    engine = finetuning_config(
        ["cohort"],
        task=task_named("segmentation"),
        preset_name="quick",
        start_from=None,
    ).engine
    return list(islice(recipe.batches(first, engine, accelerator), count))


def test_classes_come_from_the_labels(make):
    recipe = make()
    assert recipe.classes == (
        ClassConfig(value=3, name="bone"),
        ClassConfig(value=7, name="fat"),
    )
    assert recipe.unet.head.out_channels == 3
    for scan in (*recipe.training_scans, *recipe.held_out):
        assert set(np.unique(scan.labels)) == {0, 1, 2}


def test_classes_left_out_by_the_configuration_are_ignored(make):
    recipe = make(classes=[{"value": 7, "name": "fat"}])
    for scan in (*recipe.training_scans, *recipe.held_out):
        values, counts = np.unique(scan.labels, return_counts=True)
        assert values.tolist() == [0, 1, IGNORE]
        assert counts[1] == pytest.approx(8**3, rel=0.2)
        assert counts[2] == pytest.approx(9**3, rel=0.2)


def test_it_learns_a_single_scan_by_heart(make, accelerator):
    recipe = make(width=4, batch=2, foreground=1.0)
    recipe.training_scans = recipe.training_scans[:1]
    optimiser = torch.optim.AdamW(recipe.parameters(), lr=0.05)
    (batch,) = batches(recipe, accelerator, 1)
    losses = []
    # Enough for a factor of three here; machines differ in their roundings.
    for _ in range(30):
        loss = recipe(batch).loss
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_the_loss_is_dice_and_entropy_of_labelled_voxels_only(make, accelerator):
    recipe = make()
    (batch,) = batches(recipe, accelerator, 1)
    unseen = torch.rand(batch["labels"].shape) < 0.6
    batch["labels"][unseen] = IGNORE
    kept = []

    def keep(_module, _inputs, output):
        output.retain_grad()
        kept.append(output)

    recipe.unet.register_forward_hook(keep)
    loss = recipe(batch).loss
    loss.backward()
    (logits,) = kept
    known = (batch["labels"] != IGNORE).numpy()
    p = torch.softmax(logits.detach(), dim=1).numpy().transpose(1, 0, 2, 3, 4)
    p, truth = p[:, known].astype(float), batch["labels"].numpy()[known]
    entropy = -np.log(p[truth, np.arange(truth.size)]).mean()
    dice = [
        2 * p[c, truth == c].sum() / (p[c].sum() + (truth == c).sum())
        for c in (1, 2)
        if (truth == c).any()
    ]
    assert float(loss.detach()) == pytest.approx(entropy + 1 - np.mean(dice), rel=1e-4)
    pull = logits.grad.abs().sum(dim=1)
    assert float(pull[torch.from_numpy(~known)].max()) == 0
    assert float(pull[torch.from_numpy(known)].min()) > 0


def test_unpainted_voxels_change_nothing(make, accelerator, blocks, tmp_path):
    """Slices on which nothing is painted may show anything at all."""
    for name in ("few", "other"):
        (tmp_path / name).mkdir()
        for number in (0, 1):
            labels = nib.load(blocks / "labels" / f"patient{number}.nii.gz")
            values = np.asarray(labels.dataobj)
            painted = np.zeros_like(values)
            painted[:, :, [12, 24]] = values[:, :, [12, 24]]
            if name == "other":
                # "Ignored" said outright is the same as left unpainted.
                painted[:, :, 30] = IGNORE
            image = nib.Nifti1Image(painted, AFFINE)
            nib.save(image, tmp_path / name / f"patient{number}.nii.gz")
    few = make(tmp_path / "few", labelling="slices")
    other = make(tmp_path / "other", labelling="slices", validation=0.0)
    for mine, theirs in zip(few.training_scans, other.training_scans, strict=True):
        assert np.array_equal(mine.labels, theirs.labels)
        assert 0 < (mine.labels != IGNORE).mean() < 0.2
    for mine, theirs in zip(
        batches(few, accelerator, 2), batches(other, accelerator, 2), strict=True
    ):
        assert torch.equal(mine["labels"], theirs["labels"])
        assert torch.equal(mine["image"], theirs["image"])


def _reads(recipe, monkeypatch) -> set[int]:
    numbers: set[int] = set()
    read = recipe.cohorts.read

    def noted(number, *place):
        numbers.add(number)
        return read(number, *place)

    monkeypatch.setattr(recipe.cohorts, "read", noted)
    return numbers


def test_held_out_patients_are_never_trained_on(make, accelerator, monkeypatch):
    recipe = make(validation=0.34)
    assert len(recipe.held_out) == 2
    assert len(recipe.training_scans) == PATIENTS - 2
    patients = {scan.patient for scan in recipe.training_scans}
    assert patients.isdisjoint(scan.patient for scan in recipe.held_out)
    numbers = _reads(recipe, monkeypatch)
    batches(recipe, accelerator, 20)
    assert numbers == {scan.number for scan in recipe.training_scans}
    numbers.clear()
    recipe.eval()
    metrics = recipe.validate()
    assert numbers == {scan.number for scan in recipe.held_out}
    assert set(metrics) == {"dice", "dice bone", "dice fat"}
    assert metrics["dice"] == pytest.approx(
        (metrics["dice bone"] + metrics["dice fat"]) / 2
    )
    assert all(0 <= value <= 1 for value in metrics.values())


def test_splits_of_a_table_are_honoured(make, blocks, tmp_path):
    def table(*splits):
        rows = [
            f"{blocks}/scans/patient{n}.nii.gz,{blocks}/labels/patient{n}.nii.gz,{one}"
            for n, one in enumerate(splits)
        ]
        path = tmp_path / "labels.csv"
        path.write_text("\n".join(["path,mask,split", *rows]))
        return path

    sources = Cohort(blocks / "cohort").sources()
    name_of = {key: one.path.split("patient")[1][0] for key, one in sources.items()}

    def names(recipe, scans):
        keys = [recipe.cohorts.scans[scan.number].key for scan in scans]
        return sorted(int(name_of[key]) for key in keys)

    recipe = make(table("test", "train", "val", "", "test", ""), validation=0.34)
    assert names(recipe, recipe.training_scans) == [1, 3, 5]
    assert names(recipe, recipe.held_out) == [2]
    # Without val whole patients are held out, none of those that are to train.
    recipe = make(table(*["train"] * 4, "", ""), validation=0.5, augment=False)
    assert names(recipe, recipe.held_out) == [4, 5]
    config = recipe.config
    cohort = Cohort(blocks / "cohort")
    some = collect_training_maps(table("test", *["train"] * 5), cohort, config)
    assert len(some.items) == 5
    assert some.remarks[-1] == "kept for testing: 1 of 6 labelled scans"
    with pytest.raises(BadLabels, match="left to train on"):
        make(table("test", "val", "test", "val", "val", "val"))


def test_a_perfect_guess_has_a_dice_of_one(make, monkeypatch):
    recipe = make(validation=0.34)
    truth = {scan.number: scan.labels for scan in recipe.held_out}
    monkeypatch.setattr(recipe, "_segment", lambda scan: truth[scan.number])
    assert recipe.validate() == {"dice": 1.0, "dice bone": 1.0, "dice fat": 1.0}


def test_few_patients_are_all_trained_on(make, blocks, tmp_path):
    (tmp_path / "four").mkdir()
    for number in range(4):
        source = blocks / "labels" / f"patient{number}.nii.gz"
        (tmp_path / "four" / source.name).write_bytes(source.read_bytes())
    recipe = make(tmp_path / "four", validation=0.5)
    assert len(recipe.training_scans) == 4
    assert recipe.held_out == []
    assert recipe.validate() == {}


def test_batches_are_functions_of_the_step(make, accelerator):
    recipe = make()
    through = batches(recipe, accelerator, 4)
    resumed = batches(recipe, accelerator, 2, first=2)
    for mine, theirs in zip(resumed, through[2:], strict=True):
        assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert not torch.equal(through[0]["image"], through[1]["image"])
    batch = through[0]
    assert batch["image"].shape == (4, 1, 32, 32, 32)
    assert batch["labels"].shape == (4, 32, 32, 32)
    assert batch["boxes"].shape == (4, 2, 3)
    assert float(batch["image"].min()) >= 0
    assert float(batch["image"].max()) <= 1264


def test_an_image_and_its_labels_are_turned_alike(make, accelerator):
    recipe = make(augment=True)
    (batch,) = batches(recipe, accelerator, 1)
    recipe.before_step(3, 10)
    image, labels = recipe._view(batch["image"], batch["labels"])
    assert image.shape == batch["image"].shape
    assert labels.dtype == batch["labels"].dtype
    assert set(labels.unique().tolist()) <= {0, 1, 2, IGNORE}
    dense = image[:, 0][labels == 1]
    soft = image[:, 0][labels == 2]
    assert float(dense.median()) > float(soft.median()) + 200
    recipe.before_step(3, 10)
    again, same = recipe._view(batch["image"], batch["labels"])
    assert torch.equal(image, again)
    assert torch.equal(labels, same)


def test_a_label_of_a_scan_that_left_the_cohort_is_told(make, blocks, tmp_path):
    recipe = make()
    content = json.loads((tmp_path / "run0" / "inputs" / "classes.json").read_text())
    key = next(iter(content["scans"]))
    scans = content["scans"]
    content["scans"] = {key.replace("P-", "P-x", 1): scans.pop(key), **scans}
    folder = tmp_path / "run0" / "inputs"
    (folder / "classes.json").write_text(json.dumps(content))
    mask = folder / f"{key}_labels.nii.gz"
    mask.rename(folder / f"{key.replace('P-', 'P-x', 1)}_labels.nii.gz")
    from scanlearn.runs.folder import RunFolder

    run = RunFolder(tmp_path / "run0")
    with pytest.raises(BadLabels, match="not in the cohort"):
        Segmentation(run.config(), run)
    assert recipe.classes


def test_what_is_exported_is_what_was_trained(make, tmp_path):
    recipe = make()
    recipe.export(tmp_path / "run0" / "checkpoints", step=9)
    network, card = load_segmenter(tmp_path / "run0")
    weights = recipe.unet.state_dict()
    assert all(torch.equal(x, weights[n]) for n, x in network.state_dict().items())
    assert card.step == 9
    assert card.classes == recipe.classes
    assert card.stored_spacing_mm == (4.0, 4.0, 4.0)
    assert (card.factor, card.units, card.tile) == (1, "HU", 32)


def test_a_scan_smaller_than_a_tile_repeats_its_border_as_a_prediction_does(
    make, accelerator
):
    recipe = make(tile=64)
    (batch,) = batches(recipe, accelerator, 1)
    for image, labels in zip(batch["image"][:, 0], batch["labels"], strict=True):
        known = labels != IGNORE
        size = [int(known.any(dim=(1, 2)).sum()), *[0, 0]]
        size[1] = int(known.any(dim=0).any(dim=1).sum())
        size[2] = int(known.any(dim=0).any(dim=0).sum())
        # The tile begins with the scan, of which all is labelled.
        assert known[: size[0], : size[1], : size[2]].all()
        assert max(size) < 64
        inner = image[: size[0], : size[1], : size[2]]
        ends = [(0, 64 - n) for n in size]
        assert np.array_equal(image, np.pad(inner.numpy(), ends, mode="edge"))


def test_medium_changes_turn_an_image_and_its_labels_alike(make, accelerator):
    recipe = make(augment=True, strength="medium")
    (batch,) = batches(recipe, accelerator, 1)
    # What is read reaches beyond a tile, so that turned tiles show tissue.
    assert batch["image"].shape[2:] == batch["labels"].shape[1:] == (48, 48, 48)
    recipe.before_step(3, 10)
    image, labels = recipe._view(batch["image"], batch["labels"])
    assert image.shape == (4, 1, 32, 32, 32)
    assert labels.shape == (4, 32, 32, 32)
    dense, soft = (image[:, 0][labels == value] for value in (1, 2))
    assert float(dense.median()) > float(soft.median()) + 200
    recipe.before_step(3, 10)
    again, same = recipe._view(batch["image"], batch["labels"])
    assert torch.equal(image, again)
    assert torch.equal(labels, same)


def test_an_average_of_weights_is_what_is_used_and_exported(make, tmp_path):
    recipe = make(average=0.5, keep_largest=True)
    assert recipe.whole == (1, 2)
    with torch.no_grad():
        for number, weight in enumerate(recipe.unet.parameters()):
            weight.add_(0.01 * number)
    recipe.before_step(0, 10)  # the first is taken as it is
    kept = {name: x.clone() for name, x in recipe.unet.state_dict().items()}
    with torch.no_grad():
        for weight in recipe.unet.parameters():
            weight.zero_()
    run = next(tmp_path.glob("run*"))
    recipe.export(run / "checkpoints", step=1)
    network, card = load_segmenter(run)
    assert all(torch.equal(x, kept[n]) for n, x in network.state_dict().items())
    assert card.whole == (3, 7)


def test_a_scan_looked_at_in_several_sizes_is_the_mean_of_them(make):
    recipe = make()
    number = recipe.training_scans[0].number
    recipe.eval()
    sizes = (0.8, 1.0, 1.25)
    with torch.no_grad():
        each = [recipe.segment(number, (size,)) for size in sizes]
        together = recipe.segment(number, sizes)
    torch.testing.assert_close(together, sum(each) / 3)
    torch.testing.assert_close(together.sum(dim=0), torch.ones(together.shape[1:]))
    assert not torch.allclose(each[0], each[1])


def test_volumes_without_labels_are_learned_from_in_the_second_half(
    make, accelerator, blocks, tmp_path
):
    (tmp_path / "two").mkdir()
    for number in range(2):
        source = blocks / "labels" / f"patient{number}.nii.gz"
        (tmp_path / "two" / source.name).write_bytes(source.read_bytes())
    recipe = make(tmp_path / "two", unlabelled=True, average=0.1)
    mine = {scan.number for scan in recipe.training_scans}
    others = set(range(PATIENTS)) - mine
    assert set(recipe.others.numbers) == others
    begun = {name: x.clone() for name, x in recipe.unet.state_dict().items()}
    with torch.no_grad():
        for weight in recipe.unet.parameters():
            weight.add_(0.1)
    recipe.segment = _truth_of(recipe)
    recipe.before_step(10, 20)
    assert all(torch.equal(x, begun[n]) for n, x in recipe.unet.state_dict().items())
    learned = recipe.others.scans()
    assert {scan.number for scan in learned} == others
    assert {int(value) for scan in learned for value in np.unique(scan.labels)} == {
        *(0, 1, 2)
    }
    engine = finetuning_config(
        ["cohort"],
        task=task_named("segmentation"),
        preset_name="quick",
        start_from=None,
    ).engine.model_copy(update={"steps": 20})
    batch = next(recipe.batches(10, engine, accelerator))
    assert batch["image"].shape == (4, 1, 32, 32, 32)


def _truth_of(recipe):
    """Return a network that outlines scans by their densities, as they were made."""

    def segment(number, _scales):
        shape = recipe.cohorts.scans[number].grid.shape
        hu = torch.from_numpy(recipe.cohorts.read(number, (0, 0, 0), shape))
        dense, soft = hu > 120, (hu > -400) & (hu < -200)
        return torch.stack([~(dense | soft), dense, soft]).float()

    return segment


def test_every_second_voxel_decoded_is_exported_as_it_was_trained(make, tmp_path):
    recipe = make(stride=2)
    folder = next(tmp_path.glob("run*"))
    recipe.export(folder / "checkpoints", step=1)
    network, card = load_segmenter(folder)
    assert card.stride == 2
    weights = recipe.unet.state_dict()
    assert all(torch.equal(x, weights[n]) for n, x in network.state_dict().items())
    assert set(recipe.validate()) == {"dice", "dice bone", "dice fat"}
