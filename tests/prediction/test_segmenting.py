from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from scanlearn.anatomy.frames import Frame
from scanlearn.config.segmentation import ClassConfig
from scanlearn.errors import BadScan
from scanlearn.phantom.chest import make_chest
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Acquisition, Scan
from scanlearn.tasks.segmentation import segmenter as segmenting
from scanlearn.tasks.segmentation.card import SegmenterCard, save_segmenter
from scanlearn.tasks.segmentation.segmenter import SegmentedScan, Segmenter, _on_grid
from scanlearn.tasks.segmentation.turned_views import view_grids


def affine(spacing, origin, degrees=0.0):
    angle = np.deg2rad(degrees)
    turn = np.array(
        [
            [np.cos(angle), -np.sin(angle), 0],
            [np.sin(angle), np.cos(angle), 0],
            [0, 0, 1],
        ]
    )
    result = np.eye(4)
    # Array axes (S, P, L), as patient coordinates (x, y, z).
    result[:3, :3] = turn @ np.eye(3)[::-1] * spacing
    result[:3, 3] = origin
    return result


@pytest.mark.parametrize("degrees", [0.0, 17.0])
def test_probabilities_are_carried_linearly(degrees):
    working = Grid((14, 16, 18), affine((4, 4, 4), (-30, -32, 10)))
    source = Grid((11, 20, 22), affine((5, 3, 3), (-34, -30, 12), degrees))
    rng = np.random.default_rng(0)
    scores = rng.random((3, *working.shape)).astype(np.float32)
    scores /= scores.sum(axis=0)
    found = _on_grid(scores, working, source)
    assert found.shape == (3, *source.shape)
    assert found.dtype == np.uint8

    index = np.stack(np.meshgrid(*map(np.arange, source.shape), indexing="ij"), -1)
    at = working.to_index(source.to_patient(index))
    last = np.array(working.shape) - 1
    inside = ((at >= 0) & (at <= last)).all(axis=-1)
    beyond = ((at < -0.51) | (at > last + 0.51)).any(axis=-1)
    assert inside.sum() > 500
    assert beyond.sum() > 100
    for score, values in zip(scores, found, strict=True):
        expected = ndimage.map_coordinates(score, at[inside].T, order=1)
        assert np.abs(values[inside] / 255 - expected).max() <= 0.5 / 255 + 1e-5
    # Where nothing was computed, everything is background.
    assert (found[0][beyond] == 255).all()
    assert not found[1:, beyond].any()
    assert np.abs(found.astype(int).sum(axis=0) - 255).max() <= 2


def card(**changes) -> SegmenterCard:
    facts = {
        "width": 2,
        "dim": 8,
        "experts": 2,
        "tile": 32,
        "stored_spacing_mm": (4.0, 4.0, 4.0),
        "factor": 2,
        "units": "HU",
        "frame": "lungs",
        "classes": (
            ClassConfig(value=5, name="upper"),
            ClassConfig(value=2, name="lower"),
        ),
        "step": 1,
    }
    return SegmenterCard(**(facts | changes))


@pytest.fixture
def segmenter(tmp_path, monkeypatch):
    """Return a function that makes a segmenter whose network knows only the places.

    Its score of class 5 grows towards the head, that of class 2 towards the feet.
    """
    monkeypatch.setattr(segmenting, "choose_device", lambda wanted: "cpu")

    def make(**changes) -> Segmenter:
        facts = card(**changes)
        (tmp_path / "checkpoints").mkdir(exist_ok=True)
        save_segmenter(tmp_path / "checkpoints", facts.build(), facts)
        return Segmenter(tmp_path)

    return make


class _Heights(torch.nn.Module):
    """Scores each voxel by its height, as the box of its tile tells."""

    def forward(self, x, boxes):
        low, high = boxes[:, 0, 2], boxes[:, 1, 2]
        steps = torch.linspace(0, 1, x.shape[2])
        z = low[:, None] + (high - low)[:, None] * steps
        height = z[:, :, None, None].expand(-1, -1, *x.shape[3:])
        return torch.stack([torch.full_like(height, -9.0), height, -height], dim=1)


@pytest.fixture(scope="module")
def chest():
    return make_chest(0, 2, spacing_mm=(6, 4, 4)).scan


def test_tiles_know_where_they_are(segmenter, chest):
    """Above the lungs' middle everything is class 5, below it class 2."""
    brick = segmenter()
    brick.network = _Heights()
    done = []
    result = brick.segment(chest, progress=lambda n, total: done.append((n, total)))
    assert done[-1][0] == done[-1][1]
    ready = brick._ready(chest)
    grid, frame = ready.grid, ready.frame
    assert grid.spacing_mm == (8.0, 8.0, 8.0)
    index = np.zeros((chest.grid.shape[0], 3))
    index[:, 0] = np.arange(chest.grid.shape[0])
    height = frame.to_location(chest.grid.to_patient(index))[:, 2]
    middle = result.labels[:, 40, 46]
    assert (middle[height > 0.1] == 5).all()
    assert (middle[height < -0.1] == 2).all()
    assert result.grid.matches(chest.grid)
    assert result.labels.dtype == np.uint8
    assert [one.value for one in result.classes] == [5, 2]


def test_tiles_of_a_turned_view_lie_where_they_show(segmenter, chest):
    """As in trainings: the middle is where it is, the box is not turned."""
    brick = segmenter()
    ready = brick._ready(chest)
    straight, turned = view_grids(ready.grid, 2)
    starts = np.array([[0, 0, 0], [-3, 5, 2]])
    (mine, theirs) = (
        brick._boxes(starts, grid, straight, ready.frame).numpy()
        for grid in (straight, turned)
    )
    assert theirs[:, 1] - theirs[:, 0] == pytest.approx(mine[:, 1] - mine[:, 0])
    middles = ready.frame.to_location(turned.to_patient(starts + 15.5))
    assert theirs.mean(axis=1) == pytest.approx(middles, abs=1e-5)
    assert np.abs(theirs - mine).max() > 0.01


def test_several_views_are_averaged_and_volumes_spread(segmenter, chest):
    brick = segmenter()
    brick.network = _Heights()
    done = []
    once = brick.segment(chest)
    often = brick.segment(
        chest, views=3, progress=lambda n, total: done.append((n, total))
    )
    assert done[-1][0] == done[-1][1] == 3 * done[0][1] // 3
    assert [n for n, _ in done] == sorted({n for n, _ in done})
    assert once.sd_ml == ()
    assert len(often.sd_ml) == 2
    assert min(often.sd_ml) > 0
    same = (once.labels == often.labels).mean()
    assert 0.9 < same < 1


def test_windows_do_not_depend_on_the_array_order_of_the_scan(segmenter, chest):
    brick = segmenter()
    straight = brick.segment(chest)
    turned_affine = chest.grid.affine.copy()
    turned_affine[:3, 3] = chest.grid.to_patient((chest.grid.shape[0] - 1, 0, 0))
    turned_affine[:3, 0] *= -1
    turned_affine = turned_affine[:, [0, 2, 1, 3]]
    voxels = chest.voxels[::-1].transpose(0, 2, 1)
    turned = Scan(voxels, Grid(voxels.shape, turned_affine), chest.acquisition)
    result = brick.segment(turned)
    expected = straight.probabilities[:, ::-1].transpose(0, 1, 3, 2).astype(int)
    assert np.abs(result.probabilities - expected).max() <= 1


def test_another_modality_is_refused(segmenter, chest):
    voxels = np.random.default_rng(0).random(chest.grid.shape).astype(np.float32)
    mr = Scan(voxels, chest.grid, Acquisition(modality="MR"))
    with pytest.raises(BadScan, match=r"zscore.*HU.*same modality"):
        segmenter().segment(mr)
    with pytest.raises(BadScan, match=r"HU.*zscore"):
        segmenter(units="zscore").segment(chest)


def test_a_radiograph_is_refused(segmenter):
    grid = Grid((1, 64, 64), affine((1, 1, 1), (0, 0, 0)))
    picture = Scan(np.zeros((1, 64, 64), np.uint8), grid, Acquisition(modality="DX"))
    with pytest.raises(BadScan, match="another scan or another model"):
        segmenter().segment(picture)


def test_a_scan_without_lungs_is_refused(segmenter):
    grid = Grid((30, 40, 40), affine((5, 5, 5), (-100, -100, 0)))
    hu = np.full(grid.shape, -1000, np.int16)
    hu[:, 8:32, 8:32] = 40
    scan = Scan(hu, grid, Acquisition(modality="CT", units="HU"))
    with pytest.raises(BadScan, match=r"lungs.*only the body"):
        segmenter().segment(scan)
    result = segmenter(frame="body").segment(scan)
    assert result.labels.shape == grid.shape


def test_a_volume_is_voxels_times_their_size():
    labels = np.zeros((4, 5, 6), np.uint8)
    labels[0] = 2
    labels[1, 0] = 5
    grid = Grid(labels.shape, affine((10, 2, 5), (0, 0, 0), 30))
    none = np.zeros((3, *labels.shape), np.uint8)
    result = SegmentedScan(labels, none, grid, card().classes)
    assert result.volume_ml(2) == pytest.approx(30 * 0.1)
    assert result.volume_ml(5) == pytest.approx(6 * 0.1)
    assert result.volume_ml(9) == 0


def test_the_frame_is_that_of_the_lungs(segmenter, chest):
    frame = segmenter()._ready(chest).frame
    assert isinstance(frame, Frame)
    assert frame.kind == "lungs"
