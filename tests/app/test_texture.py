"""Emphysema subtypes from points to maps, all real, in seconds."""

from __future__ import annotations

import csv
import json

import nibabel as nib
import numpy as np
import pytest
import torch
from scipy.stats import entropy

from scanlearn.anatomy.lungs import lung_mask
from scanlearn.cohort.catalogue import Cohort
from scanlearn.encoders.encoder_file import load_encoder, load_slice_encoder
from scanlearn.errors import BadConfig, BadRun, BadScan
from scanlearn.features.axial_describers import SliceDescriber
from scanlearn.features.linear import LinearModel
from scanlearn.new_run import (
    finetuning_config,
    labels_for,
    new_finetuning,
    new_pretraining,
    pretraining_config,
)
from scanlearn.prediction.representation.dense import DenseFeatures
from scanlearn.prediction.summary import read_prediction
from scanlearn.pretraining.registry import method_named, method_of
from scanlearn.runs.events import Finished, Message, Step
from scanlearn.scans.geometry import Grid
from scanlearn.scans.read import read_scan
from scanlearn.scans.resample import resample
from scanlearn.tasks.registry import task_named, task_of
from scanlearn.tasks.shared.predict_scans import predict_scans
from scanlearn.tasks.shared.suggestion import suggest
from scanlearn.tasks.texture import TextureTask
from scanlearn.tasks.texture.card import load_texture
from scanlearn.tasks.texture.doubt import doubt_of_textures
from scanlearn.tasks.texture.learn import texture_recipe
from scanlearn.tasks.texture.predict import texture_map
from scanlearn.tasks.texture.scores import confusion, evaluate_texture
from scanlearn.worker import train_run


def learn(cohort, labels, out, start_from=None, **recipe):
    config = finetuning_config(
        [cohort],
        task=task_named("texture"),
        preset_name="quick",
        start_from=start_from,
        changes={"recipe": recipe, "engine": {"device": "cpu", "precision": "no"}},
    )
    return new_finetuning(config, labels_for(task_of(config), config, labels), out)


@pytest.fixture(scope="module")
def texture_run(tiny_cohort, tiny_sample, tmp_path_factory):
    out = tmp_path_factory.mktemp("texture") / "run"
    points = tiny_sample / "emphysema_points.csv"
    run = learn(tiny_cohort, points, out, patch_mm=40.0, stride_mm=24.0)
    events = list(train_run(run))
    assert isinstance(events[-1], Finished), events[-1]
    steps = [event.step for event in events if isinstance(event, Step)]
    assert steps == list(range(1, len(steps) + 1))
    said = [event.text for event in events if isinstance(event, Message)]
    assert "without an encoder" in said[0]
    return run


def test_a_map_covers_the_lungs_and_its_table_adds_up(
    texture_run, tiny_sample, tmp_path
):
    source = tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz"
    (summary,) = predict_scans(
        task_of(texture_run.config()), texture_run, source, tmp_path
    )
    found = read_prediction(summary)
    assert found.task == "texture"
    scan = read_scan(source)
    labels = np.asarray(nib.load(found.labels).dataobj)
    lungs = lung_mask(scan.canonical())
    inside = resample(lungs.mask, lungs.grid, scan.grid, order=0, outside=0) > 0
    voxels = scan.voxels
    assert labels.shape == voxels.shape
    assert np.array_equal(labels > 0, inside)
    shares = nib.load(found.probabilities).get_fdata(dtype=np.float32)
    assert shares.sum(axis=-1) == pytest.approx(1, abs=0.02)
    unsure = np.asarray(nib.load(found.uncertainty).dataobj)
    assert not unsure[~inside].any()
    expected = entropy(shares[inside][:, 1:], axis=-1) / np.log(shares.shape[-1] - 1)
    assert np.abs(unsure[inside] - expected).max() < 0.02
    with pytest.raises(BadRun, match="one way only"):
        predict_scans(
            task_of(texture_run.config()), texture_run, source, tmp_path, views=2
        )
    low = np.asarray(nib.load(tmp_path / found.facts["laa950"]).dataobj)
    assert np.array_equal(low > 0, (voxels < -950) & inside)
    with (tmp_path / "PHANTOM-0002_subtypes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["lung"] for row in rows[::4]] == ["both", "right", "left"]
    names = [one.name for one in found.classes]
    for row in rows:
        percents = [float(row[f"{name}_percent"]) for name in names]
        assert sum(percents) == pytest.approx(100, abs=0.1)
        assert "6 mm are thick" in row["caution"]
        assert -1000 < float(row["mean_hu"]) < -500
    for one, name in zip(found.classes, names, strict=True):
        share = 100 * (labels == one.value).sum() / inside.sum()
        assert float(rows[0][f"{name}_percent"]) == pytest.approx(share, abs=0.01)


def test_scans_in_doubt_are_suggested(texture_run, tiny_cohort, tiny_sample, tmp_path):
    cohort = Cohort(tiny_cohort)
    keys = cohort.keys()
    doubts = doubt_of_textures(texture_run, cohort, keys, lambda event: None)
    assert set(doubts) == set(keys)
    assert all(0 < doubt < 1 for doubt in doubts.values())
    # By the same places, one by one, against another library.
    describer, model, card = load_texture(texture_run.path)
    scan = next(describer.from_cohort(tiny_cohort, keys[:1], []))
    there = describer.everywhere(scan, 2 * card.stride_mm, lambda n, total: None)
    shares = [
        model.probabilities(there.features[:, z, y, x][None])[0]
        for z, y, x in np.argwhere(there.known)
    ]
    expected = entropy(np.array(shares), axis=1).mean() / np.log(len(card.classes))
    assert doubts[scan.key] == pytest.approx(expected, abs=0.01)
    # Every patient has points here: nothing is left to suggest.
    assert suggest(TextureTask(), texture_run, tiny_cohort, count=2) == []
    config = texture_run.config()
    labels = labels_for(task_of(config), config, tiny_sample / "emphysema_points.csv")
    full = {p.patient for p in labels.places if len(_classes_of(labels, p)) > 1}
    run = new_finetuning(config, labels.of(sorted(full)[:1]), tmp_path / "one")
    assert isinstance(list(train_run(run))[-1], Finished)
    told = []
    found = suggest(TextureTask(), run, tiny_cohort, count=9, tell=told.append)
    patients = {cohort.record(key).patient for key in keys}
    assert {one.patient for one in found} == patients - {sorted(full)[0]}
    doubts = [one.doubt for one in found]
    assert doubts == sorted(doubts, reverse=True)  # from scratch doubt alone counts


def _classes_of(labels, place):
    return {p.label for p in labels.places if p.patient == place.patient}


def test_evaluation_counts_what_was_taken_for_what(
    texture_run, tiny_cohort, tiny_sample
):
    points, cohort = tiny_sample / "emphysema_points.csv", Cohort(tiny_cohort)
    found = evaluate_texture(texture_run, points, cohort, lambda event: None)
    counts = np.array(found.more["confusion"]["counts"])
    recall = np.diag(counts) / counts.sum(axis=1)
    assert found.mean["balanced accuracy"] == pytest.approx(recall.mean())
    assert found.mean["accuracy"] == pytest.approx(np.trace(counts) / counts.sum())
    # Learned by heart, these are found far more often than by chance.
    assert found.mean["balanced accuracy"] > 0.6
    assert any("trained on" in remark for remark in found.remarks)
    json.dumps(found.to_dict())
    assert confusion(np.array([0, 1, 1]), np.array([0, 0, 1]), 2) == [[1, 0], [1, 1]]


def test_a_frozen_encoder_describes_places_and_travels_with_the_run(
    tiny_cohort, tiny_sample, pretraining, tmp_path
):
    start = pretraining("texture encoder", minutes=0)
    list(train_run(start))
    points = tiny_sample / "emphysema_points.csv"
    run = learn(
        tiny_cohort, points, tmp_path / "run", start_from=start.path, stride_mm=32.0
    )
    events = list(train_run(run))
    assert isinstance(events[-1], Finished), events[-1]
    _describer, model, card = load_texture(run.path)
    assert card.features == "patches"
    assert card.pretrained == start.name
    assert model.weight.shape == (len(card.classes), 8)
    weights = (start.checkpoints / "encoder.safetensors").read_bytes()
    assert (run.checkpoints / "encoder.safetensors").read_bytes() == weights
    source = tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz"
    (summary,) = predict_scans(task_of(run.config()), run, source, tmp_path / "out")
    assert np.asarray(nib.load(read_prediction(summary).labels).dataobj).any()
    with pytest.raises(BadRun, match="no trained model"):
        load_texture(start.path)


def test_an_encoder_can_be_trained_on_places(
    tiny_cohort, tiny_sample, pretraining, tmp_path
):
    start = pretraining("trained encoder", minutes=0)
    list(train_run(start))
    points = tiny_sample / "emphysema_points.csv"
    run = learn(tiny_cohort, points, tmp_path / "run", start.path, method="full")
    events = list(train_run(run))
    assert isinstance(events[-1], Finished), events[-1]
    describer, model, card = load_texture(run.path)
    before = load_encoder(start.path)[0].state_dict()
    after = describer.embedder.encoder.state_dict()
    changed = {k for k in before if not torch.equal(before[k], after[k])}
    assert any(name.endswith("weight") for name in changed)
    assert not any("running" in name for name in changed)
    scan = next(describer.from_cohort(tiny_cohort, Cohort(tiny_cohort).keys(), []))
    point = tuple(scan.grid.to_patient(np.array(scan.grid.shape) / 2))
    shares = model.probabilities(describer.at(scan, [point]))
    assert shares.shape == (1, len(card.classes))
    assert shares.sum() == pytest.approx(1)
    with pytest.raises(BadConfig, match="from scratch there is none"):
        texture_recipe(*_from_scratch(tiny_cohort, points, tmp_path / "none"))


def _from_scratch(cohort, points, out):
    run = learn(cohort, points, out, method="full")
    return run.config(), run


def test_an_encoder_of_slices_describes_patches_and_places(
    tiny_cohort, tiny_sample, tmp_path
):
    config = pretraining_config(
        [tiny_cohort],
        method=method_named("joint"),
        preset_name="quick",
        changes={
            "recipe": {"image_side": 24, "image_crop": 24, "slice_side": 24},
            "engine": {"minutes": 0, "device": "cpu", "precision": "no"},
        },
    )
    start = new_pretraining(method_of(config), config, tmp_path / "joint")
    assert isinstance(list(train_run(start))[-1], Finished)
    points = tiny_sample / "emphysema_points.csv"
    run = learn(tiny_cohort, points, tmp_path / "run", start.path, patch_mm=40.0)
    assert isinstance(list(train_run(run))[-1], Finished)
    describer, _model, card = load_texture(run.path)
    assert card.features == "slices"
    encoder, _ = load_slice_encoder(start.path)
    scan = next(describer.from_cohort(tiny_cohort, Cohort(tiny_cohort).keys(), []))
    centre = tuple(scan.grid.to_patient(np.array([12, 25, 25])))
    found = describer.at(scan, [centre])
    patch = torch.from_numpy(scan.read((12, 20, 20), (1, 10, 10)))
    x = torch.nn.functional.interpolate(
        (patch.clamp(-1024, 240) + 1024)[None] / 632 - 1, (24, 24), mode="bilinear"
    )
    turned = [x.rot90(n, (2, 3)) for n in range(4)]
    turned += [x.flip(2).rot90(n, (2, 3)) for n in range(4)]
    with torch.no_grad():
        expected = encoder.images(torch.cat(turned))[0].numpy()
    assert card.turned
    assert found.shape == (1, expected.shape[1])
    np.testing.assert_allclose(found[0], expected.mean(axis=0), rtol=1e-4, atol=1e-5)
    # Texture has no direction: a patch seen from another side is the same.
    odd = scan.read((12, 20, 20), (1, 10, 9))
    for side in (np.rot90(odd, axes=(1, 2)), odd[:, ::-1]):
        np.testing.assert_allclose(
            describer.describe(side), describer.describe(odd), rtol=1e-4, atol=1e-5
        )
    # Slices of a body have one.
    assert describer.whole(scan).shape == (2 * found.shape[1],)
    upright = SliceDescriber(start.path, describer.patch_mm, describer.spacing_mm)
    np.testing.assert_array_equal(describer.whole(scan), upright.whole(scan))
    np.testing.assert_allclose(
        upright.at(scan, [centre])[0], expected[0], rtol=1e-4, atol=1e-5
    )


def test_a_map_is_carried_to_the_scan_place_by_place(tiny_sample):
    """Left of the middle one class, right of it the other: so is the map."""
    scan = read_scan(tiny_sample / "scans" / "nifti" / "PHANTOM-0002.nii.gz")
    lungs = lung_mask(scan.canonical())
    corners = lungs.grid.to_patient(np.array([[0, 0, 0], np.array(lungs.grid.shape)]))
    low, high = corners.min(axis=0), corners.max(axis=0)
    affine = np.zeros((4, 4))
    for axis, along in enumerate((2, 1, 0)):
        affine[along, axis] = 20.0
    affine[:3, 3], affine[3, 3] = low, 1.0
    sizes = [int(n) for n in np.ceil((high - low) / 20)[::-1]]
    grid = Grid((sizes[0], sizes[1], sizes[2]), affine)
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), -1)
    x = grid.to_patient(index)[..., 0]
    middle = (low[0] + high[0]) / 2
    features = ((x - middle) / 10)[None].astype(np.float32)
    model = LinearModel(np.zeros(1), np.ones(1), np.array([[-5.0], [5.0]]), np.zeros(2))
    known = np.ones(grid.shape, bool)
    known[0] = False
    run = learn_classes()
    found = texture_map(
        DenseFeatures(features, known, grid), model, lungs, scan.grid, run
    )
    places = np.argwhere(found.labels)
    at = scan.grid.to_patient(places)[:, 0]
    far = np.abs(at - middle) > 25
    expected = np.where(at > middle, 2, 1)[far]
    assert (found.labels[tuple(places[far].T)] == expected).all()
    with pytest.raises(BadScan, match="enough lung"):
        texture_map(
            DenseFeatures(features, ~np.ones_like(known), grid),
            model,
            lungs,
            scan.grid,
            run,
        )


def learn_classes():
    from scanlearn.config.segmentation import ClassConfig

    return (ClassConfig(value=1, name="right"), ClassConfig(value=2, name="left"))
