"""Clusters of pixels and the U-Net that tells them: against SciPy and scikit-learn."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy import ndimage
from sklearn.cluster import KMeans
from torch.nn import functional as F

from scanlearn.anatomy.frames import frame_of_field
from scanlearn.cohort.catalogue import write_record
from scanlearn.cohort.layout import Layout, Settings, write_settings
from scanlearn.cohort.record import Intensity, ScanRecord, matrix_of
from scanlearn.cohort.slices import SliceCohorts
from scanlearn.cohort.store import NpyStore
from scanlearn.config.joint import JointViews, PixelConfig, TransformerConfig
from scanlearn.config.joint import TrunkConfig as Trunk
from scanlearn.config.prepare import PrepareConfig
from scanlearn.encoders.decoder_file import save_decoder, take_decoder
from scanlearn.encoders.encoder_file import save_encoder
from scanlearn.encoders.slice_encoder_card import SliceEncoderCard, build_slice_encoder
from scanlearn.errors import BadRun
from scanlearn.nets.segmentation_loss import dice_cross_entropy
from scanlearn.nets.slice_unet import SliceUNet
from scanlearn.pretraining.joint.pixel_agreement import PixelAgreement, crop_side
from scanlearn.pretraining.joint.pixel_crops import PixelCrops
from scanlearn.scans.geometry import Grid
from scanlearn.views.normalise import normalised

SMALL = Trunk(architecture="small", width=4)
TRANSFORMER = TransformerConfig(dim=8, layers=1, heads=1, head_width=8, hidden=8)
PIXELS = PixelConfig(clusters=6, crop=32, batch=4)


@pytest.fixture(scope="module")
def rings(tmp_path_factory) -> Path:
    """Return eight MR volumes (5, 40, 48) of two rings around discs, with their truth.

    ``truth.npy`` (8, 5, 40, 48) is 1 on the left ring; the right one looks the same.
    Grey values of rings, discs and surroundings overlap by their noise.
    """
    folder, rng = tmp_path_factory.mktemp("rings") / "cohort", np.random.default_rng(3)
    layout = Layout(folder)
    layout.scans.mkdir(parents=True)
    write_settings(layout, Settings(PrepareConfig()))
    shape, truths = (5, 40, 48), []
    affine = np.zeros((4, 4))
    affine[[2, 1, 0], [0, 1, 2]] = 5.0, 1.5, 1.5
    affine[3, 3] = 1
    grid = Grid(shape, affine)
    _, y, x = np.indices(shape)
    for number in range(8):
        middle, size = (
            np.array([20, 24]) + rng.integers(-3, 4, 2),
            rng.uniform(0.9, 1.1),
        )
        radius = np.hypot(y - middle[0], np.abs(x - middle[1]) - 11) / size
        ring, disc = (radius >= 4) & (radius < 8), radius < 4
        voxels = rng.normal(0, 0.6, shape) - 1.0 * ring + 1.5 * disc + (x - 24) / 24
        truths.append(ring & (x < middle[1]))
        key = f"P-mr{number:04x}-abcdef"
        record = ScanRecord(
            key=key,
            patient=key[:8],
            modality="MR",
            store="npy",
            dtype="float32",
            shape=shape,
            spacing_mm=grid.spacing_mm,
            affine=matrix_of(grid),
            intensity=Intensity(units="zscore", outside=-3, percentiles=(-2, 0, 2)),
            source_shape=shape,
            source_affine=matrix_of(grid),
            frame=frame_of_field(grid),
            source_hash=key,
            source_stamp=key,
            voxel_hash=key,
        )
        NpyStore().write(layout.voxels(key, ".npy"), voxels.astype(np.float32))
        write_record(layout, record)
    np.save(folder.parent / "truth.npy", np.stack(truths))
    return folder


def opened(*paths: Path) -> SliceCohorts:
    return SliceCohorts(paths, slices=8, images_a_volume=4)


def agreement(cohorts: SliceCohorts, *, seed: int = 0) -> PixelAgreement:
    torch.manual_seed(seed)
    encoder = build_slice_encoder(SMALL, TRANSFORMER, knee=None)
    side = crop_side(PIXELS, [image.record.shape for image in cohorts.images])
    crops = PixelCrops(cohorts, side, 0)
    return PixelAgreement(encoder, crops, config=PIXELS, views=JointViews())


def test_features_are_those_of_the_whole_slice(mixed_cohorts) -> None:
    """Smoothed grey values and places, found again in the slice by the place alone."""
    cohorts = opened(*mixed_cohorts)
    crops, film = PixelCrops(cohorts, 48, 0), len(cohorts.images) - 1
    record = cohorts.images[film].record
    voxels = np.array(cohorts.cohorts[2].voxels(record.key))[0] * 1264.0
    for number in range(4):
        grey, features = (x.numpy() for x in crops.at(film, number))
        assert (grey.shape, features.shape) == ((48, 48), (5, 48, 48))
        assert (features[4] == 0).all()  # a radiograph is all of its stack
        # The place says which pixel it is: half the longest side is 20 pixels.
        rows = np.arctanh(features[2][:, 0].astype(float)) * 20 / 2.7 + 19.5
        columns = np.arctanh(features[3][0].astype(float)) * 20 / 2.7 + 17.5
        assert_allclose(np.diff(rows), 1, atol=0.01)
        down, along = (np.rint(n).astype(int) for n in (rows, columns))
        there = np.ix_((down >= 0) & (down < 40), (along >= 0) & (along < 36))
        at = np.ix_(down[(down >= 0) & (down < 40)], along[(along >= 0) & (along < 36)])
        assert_allclose(grey[there], voxels.clip(0, 1264)[at], rtol=1e-5)
        for smooth, sigma in zip(features, (0.7, 4.0), strict=False):
            wanted = ndimage.gaussian_filter(voxels, sigma, mode="nearest", truncate=4)
            assert_allclose(smooth[there], wanted[at], rtol=1e-3)
    again = PixelCrops(cohorts, 48, 0).at(film, 3)[0]
    assert torch.equal(again, torch.from_numpy(grey))
    assert not torch.equal(crops.at(film, 4)[0], again)


def test_a_volume_gives_any_of_its_slices(mixed_cohorts) -> None:
    cohorts = opened(mixed_cohorts[0])
    crops, depth = PixelCrops(cohorts, 32, 0), cohorts.images[0].record.shape[0]
    heights = {float(crops.at(0, n)[1][4, 0, 0]) for n in range(80)}
    assert sorted(heights) == pytest.approx(
        [2 * (n + 0.5) / depth - 1 for n in range(depth)]
    )


def test_clusters_are_scikit_learns(mixed_cohorts) -> None:
    """Grey values in spreads of their own source, then its k-means and prediction."""
    cohorts = opened(*mixed_cohorts)
    made = agreement(cohorts)
    made.begin()
    features, sources = made._sample()
    x = features.double().numpy()
    for source in range(3):
        rows = x[sources.numpy() == source, :2]
        x[sources.numpy() == source, :2] = (rows - rows.mean(0)) / rows.std(0, ddof=1)
    x *= [1.2, 0.8, 1.5, 1.5, 0.6]
    found = KMeans(
        6, init=made.clusters.centres.double().numpy(), n_init=1, max_iter=1
    ).fit(x)
    # One more round changes nothing: it had come to its end.
    assert_allclose(found.cluster_centers_, made.clusters.centres, atol=0.02)
    shares = np.bincount(found.labels_, minlength=6) / len(x)
    assert_allclose(made.clusters.shares, shares, atol=0.01)
    assert float(made.chance) == pytest.approx(
        -(shares * np.log(shares)).sum(), abs=0.01
    )
    crops, maps = zip(*(made.crops.at(n, n) for n in (0, 30, 50)), strict=True)
    kinds = torch.tensor([cohorts.images[n].source for n in (0, 30, 50)])
    told = made.clusters.of(torch.stack(maps), kinds)
    points = (
        made.clusters.weighted(torch.stack(maps), kinds).movedim(1, -1).flatten(0, 2)
    )
    distance = torch.cdist(points.double(), made.clusters.centres.double())
    assert torch.equal(told.flatten(), distance.argmin(dim=1))
    before = made.clusters.centres.clone()
    made.begin()  # only once
    assert torch.equal(before, made.clusters.centres)
    assert crops[0].shape == (made.crops.side,) * 2


def test_a_view_takes_its_clusters_along(rings) -> None:
    """Without changes the targets are those of the middle of the crop."""
    cohorts = opened(rings)
    still = PIXELS.model_copy(update={"rotate_degrees": 0.0, "scale": (1.0, 1.0)})
    side = crop_side(still, [image.record.shape for image in cohorts.images])
    assert side == 48  # half as much again as the crop that is seen
    made = PixelAgreement(
        build_slice_encoder(SMALL, TRANSFORMER, knee=None),
        PixelCrops(cohorts, side, 0),
        config=still,
        views=JointViews(),
    )
    assert made.views.slices.area == pytest.approx(((32 / 48) ** 2,) * 2)
    made.begin()
    grey, maps = made.crops.at(3, 1)
    seen: list[torch.Tensor] = []
    made.unet.register_forward_hook(lambda _m, _x, out: seen.append(out.detach()))
    hu, source = torch.tensor([False]), torch.tensor([0])
    generator = torch.Generator().manual_seed(1)
    loss = made(grey[None], maps[None], source, hu, hu, generator)
    logits = seen[0][:, :, 0]
    assert logits.shape == (1, 6, 32, 32)
    draw = made.views.sample(hu, hu, torch.Generator().manual_seed(1))
    first = (draw.maps[0, :, 2].flip(0) * 24 + 24 - 16).round().int().tolist()
    # Shifts are not whole pixels, so most but not all pixels are where they were.
    whole = made.clusters.of(maps[None], source)[0]
    near = whole[first[0] : first[0] + 32, first[1] : first[1] + 32]
    by_hand = F.cross_entropy(logits, near[None])
    assert float(loss.detach()) == pytest.approx(float(by_hand), rel=0.1)


def trained(rings: Path, steps: int) -> tuple[PixelAgreement, list[float]]:
    made = agreement(opened(rings)).train()
    made.begin()
    optimiser = torch.optim.AdamW(made.parameters(), lr=5e-3)
    losses = []
    for step in range(steps):
        crops, maps = zip(
            *(made.crops.at((4 * step + n) % 20, 4 * step + n) for n in range(4)),
            strict=True,  # of five of the eight patients
        )
        loss = made(
            torch.stack(crops),
            torch.stack(maps),
            torch.zeros(4, dtype=torch.long),
            torch.zeros(4, dtype=torch.bool),
            torch.zeros(4, dtype=torch.bool),
            torch.Generator().manual_seed(step),
        )
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach() / made.chance))
    return made, losses


def tuned(unet: SliceUNet, rings: Path, *, updates: int) -> float:
    """Return the Dice of rings in two patients, after updates on another one."""
    voxels = [np.load(p) for p in sorted((rings / "scans").glob("*.npy"))]
    truth = torch.from_numpy(np.load(rings.parent / "truth.npy"))
    image = normalised((torch.from_numpy(np.stack(voxels)) + 5) * 126.4)
    # Sides that the trunk divides evenly.
    image, truth = (
        F.pad(x.float(), (8, 8, 12, 12), value=x.float().min()) for x in (image, truth)
    )
    optimiser = torch.optim.AdamW(unet.parameters(), lr=2e-3)
    unet.train()
    for _ in range(updates):
        loss = dice_cross_entropy(unet(image[5][:, None]), truth[5][:, None].long())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found = unet(image[6:].flatten(0, 1)[:, None]).argmax(dim=1)[:, 0]
    both = truth[6:].flatten(0, 1) > 0
    hits = ((found == 1) & both).sum()
    return float(2 * hits / ((found == 1).sum() + both.sum()))


def test_a_u_net_that_told_clusters_starts_ahead(rings, tmp_path) -> None:
    """Twenty updates on one patient, after clusters of five others, without labels."""
    made, losses = trained(rings, 60)
    assert np.mean(losses[-10:]) < 0.8 < np.mean(losses[:3])
    card = SliceEncoderCard(
        method="joint",
        trunk=SMALL,
        transformer=TRANSFORMER,
        slice_side=32,
        slices=8,
        units=("zscore",),
        holistic=False,
        decoder=True,
        step=60,
    )
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    save_encoder(folder, made.unet.encoder, card)
    save_decoder(folder, made.unet)

    def fresh() -> SliceUNet:
        torch.manual_seed(1)
        return SliceUNet(card.build(), classes=2, context=False)

    started = fresh()
    assert take_decoder(started, tmp_path)
    for name, x in started.stages.state_dict().items():
        assert torch.equal(x, made.unet.stages.state_dict()[name])
    started.encoder.load_state_dict(made.unet.encoder.state_dict())
    plain = fresh()
    assert not take_decoder(plain, None)
    ahead = tuned(copy.deepcopy(started), rings, updates=20)
    behind = tuned(copy.deepcopy(plain), rings, updates=20)
    assert ahead > behind + 0.2

    other = SliceUNet(
        build_slice_encoder(
            Trunk(architecture="small", width=8), TRANSFORMER, knee=None
        ),
        classes=2,
        context=False,
    )
    with pytest.raises(BadRun, match="another network"):
        take_decoder(other, tmp_path)
