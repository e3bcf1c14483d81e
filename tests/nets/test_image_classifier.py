"""A class-activation map adds up to its logit, exactly."""

from __future__ import annotations

import pytest
import torch

from scanlearn.nets.image_classifier import ImageClassifier
from scanlearn.nets.resnet import ResNet


@pytest.mark.parametrize(
    ("architecture", "side"), [("small", 64), ("small", 32), ("resnet18", 96)]
)
@pytest.mark.parametrize(("knee", "grid"), [(None, 1), (-0.5, 1), (None, 4), (0.0, 2)])
def test_the_mean_of_a_map_and_the_bias_are_the_logit(
    architecture, side, knee, grid
) -> None:
    torch.manual_seed(0)
    network = ImageClassifier(
        ResNet(architecture, width=8), classes=3, knee=knee, grid=grid, side=side
    )
    with torch.no_grad():
        network.head.bias.copy_(torch.tensor([1.0, -2.0, 0.5]))
    images = torch.rand(2, 1, side, side) * 2 - 1
    network.eval()
    with torch.no_grad():
        logits, maps = network.activation(images)
        assert maps.shape == (2, 3, side, side)
        torch.testing.assert_close(logits, network(images))
        torch.testing.assert_close(
            maps.double().mean(dim=(2, 3)) + network.head.bias,
            logits.double(),
            atol=1e-4,
            rtol=1e-4,
        )
        # Not by being flat.
        assert (maps.std(dim=(2, 3)) > 1e-3).all()


def test_cells_are_averages_of_parts_of_the_first_map() -> None:
    """By slicing: 4 x 4 of the first map, of 16 pixels."""
    network = ImageClassifier(ResNet("small", width=4), classes=2, grid=4, side=32)
    assert network.cells == 4
    images = torch.rand(3, 1, 32, 32)
    network.eval()
    with torch.no_grad():
        maps = network.trunk(images)
        found = network.features(images)
    assert found.shape == (3, 60 + 16 * 4)
    torch.testing.assert_close(found[:, :4], maps[0].mean(dim=(2, 3)))
    cells = found[:, 60:].unflatten(1, (4, 4, 4))
    by_hand = maps[0][:, 1, 8:12, 12:].mean(dim=(1, 2))
    torch.testing.assert_close(cells[:, 1, 2, 3], by_hand)
    # A map of 18 pixels is cut in two: cells are all alike.
    odd = ImageClassifier(ResNet("small", width=4), classes=2, grid=4, side=36)
    assert odd.cells == 2


def test_a_map_is_high_where_its_class_is_seen() -> None:
    """By hand: a trunk that hands its image on, and a layer that counts brightness."""

    class Trunk(torch.nn.Module):
        dims = (1,)

        def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
            return [torch.nn.functional.avg_pool2d(x, 8)]

    network = ImageClassifier(Trunk(), classes=1)
    with torch.no_grad():
        network.head.weight.fill_(2.0)
        network.head.bias.fill_(0.25)
    image = torch.zeros(1, 1, 32, 32)
    image[..., :8, 24:] = 1.0
    logits, maps = network.activation(image)
    assert logits.item() == pytest.approx(2 / 16 + 0.25)
    assert maps[0, 0, :4, 28:].detach().mean() == pytest.approx(2.0)
    assert maps[0, 0, 16:, :16].detach().abs().max() == 0


def test_sides_that_no_map_divides_are_refused() -> None:
    network = ImageClassifier(ResNet("small", width=4), classes=2).eval()
    with pytest.raises(ValueError, match="no multiple"):
        network.activation(torch.zeros(1, 1, 36, 36))
