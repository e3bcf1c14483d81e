"""Slice tokens of a frozen trunk: every volume is embedded once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from scanlearn.nets.slice_encoder import SliceEncoder
from scanlearn.pretraining.joint.slice_batches import SliceData
from scanlearn.views.normalise import normalised


class KeptTokens:
    """Tokens of unchanged volumes, by number; made when they are first asked for.

    In no checkpoint: the same weights make the same tokens after a resume.
    """

    def __init__(self, data: SliceData, encoder: SliceEncoder) -> None:
        self._data, self._encoder = data, encoder
        self._tokens: dict[int, Tensor] = {}

    def forget(self) -> None:
        """Drop all, because the trunk changes."""
        self._tokens.clear()

    @torch.no_grad()
    def of(self, volumes: Tensor, *, size: int | None = None) -> tuple[Tensor, Tensor]:
        """Return tokens (B, N, D) of volumes (B,), and how many slices each has.

        N is the longest's length if no ``size`` is given.
        """
        if not self._encoder.centre.num_batches_tracked:
            self._centre(volumes.device)
        for number in volumes.tolist():
            if number not in self._tokens:
                self._tokens[number] = self._embedded(number, volumes.device)
        kept = [self._tokens[number] for number in volumes.tolist()]
        lengths = torch.tensor([len(tokens) for tokens in kept])
        padded = pad_sequence(kept, batch_first=True)
        if size is not None:
            padded = F.pad(padded, (0, 0, 0, size - padded.shape[1]))
        return padded.to(volumes.device), lengths.to(volumes.device)

    def _centre(self, device: torch.device) -> None:
        """Find the mean feature of a trunk that was not trained here."""
        centre = self._encoder.centre.train()
        momentum, centre.momentum = centre.momentum, None  # of all volumes alike
        for number in range(len(self._data.cohorts.volumes)):
            x = normalised(self._data.stacks([number])["volumes"].to(device))
            joined, _ = self._encoder.images(x[0][:, None])
            centre(joined)
        centre.momentum = momentum
        centre.eval()

    def _embedded(self, number: int, device: torch.device) -> Tensor:
        stack = self._data.stacks([number])
        x, lengths = stack["volumes"].to(device), stack["lengths"].to(device)
        return self._encoder.tokens(normalised(x), lengths)[0].cpu()
