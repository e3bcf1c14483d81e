"""Batch-norm statistics of all batches, not of the last ones."""

from __future__ import annotations

import torch
from torch import nn

from scanlearn.nets.location_encoder import LocationEncoder
from scanlearn.nets.recalibrate import recalibrate_batch_norm


def test_statistics_are_plain_averages_over_batches() -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm3d(2, momentum=0.3).eval()
    norm.running_mean.fill_(7)
    batches = [torch.randn(3, 2, 4, 4, 4) * scale + scale for scale in (1, 2, 5)]
    weight = norm.weight.detach().clone()
    recalibrate_batch_norm(norm, ((x,) for x in batches))
    rows = [x.movedim(1, 0).flatten(1) for x in batches]
    means = torch.stack([row.mean(dim=1) for row in rows]).mean(dim=0)
    variances = torch.stack([row.var(dim=1) for row in rows]).mean(dim=0)
    torch.testing.assert_close(norm.running_mean, means)
    torch.testing.assert_close(norm.running_var, variances)
    torch.testing.assert_close(norm.weight.detach(), weight)
    assert norm.momentum == 0.3
    assert not norm.training


def test_mode_and_forward_are_the_callers() -> None:
    norm = nn.BatchNorm3d(1).train()
    seen = []

    def forward(x: torch.Tensor, factor: float) -> None:
        seen.append(norm(x * factor))

    x = torch.randn(8, 1, 2, 2, 2)
    recalibrate_batch_norm(norm, [(x, 2.0), (x, 4.0)], forward)
    assert len(seen) == 2
    assert not seen[0].requires_grad
    assert norm.training
    torch.testing.assert_close(norm.running_mean[0], x.mean() * 3)


def test_features_of_every_location_come_out_standardised() -> None:
    """T11: mean 0 and variance 1 before every ELU."""
    torch.manual_seed(1)
    encoder = LocationEncoder(width=2, dim=8, experts=4).train()
    places = torch.rand(24, 3) * 2 - 1
    batches = [
        (torch.randn(24, 1, 16, 16, 16), places[torch.randperm(24)]) for _ in range(12)
    ]
    with torch.no_grad():
        for x, _ in batches[:6]:  # as after a visit to one place with dark patches
            encoder(x * 0.1 - 3, places[:1])
    recalibrate_batch_norm(encoder, batches)

    outputs: list[list[torch.Tensor]] = [[] for _ in encoder.layers]
    for layer, rows in zip(encoder.layers, outputs, strict=True):
        # Copied: the ELU that follows works in place.
        layer.norm.register_forward_hook(
            lambda _module, _inputs, out, rows=rows: rows.append(
                out.detach().clone().movedim(1, 0).flatten(1)
            )
        )
    encoder.eval()
    for batch in batches:  # with gradients, or the norms are done with the kernels
        encoder(*batch)
    for rows in outputs:
        values = torch.cat(rows, dim=1)
        assert values.mean(dim=1).abs().max() < 0.05
        assert (values.var(dim=1) - 1).abs().max() < 0.2
