"""What an encoder of slices makes of scans: a vector for each slice, one for each scan.

The vector of a slice are the means and standard deviations of the trunk's four stages.
The holistic vector of a volume is the transformer's.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scanlearn.cohort.slices import even
from scanlearn.encoders.encoder_file import load_slice_encoder
from scanlearn.encoders.pixels import pixels_of
from scanlearn.engine.devices import choose_device, mixed_precision
from scanlearn.prediction.representation.embedding import Precision, Vectors
from scanlearn.prediction.representation.slice_scans import SliceScan
from scanlearn.views.normalise import Units, normalised, shifted

#: Slices in one forward pass.
_BATCH = 64


@dataclass(frozen=True, eq=False)
class SliceVectors:
    """One scan.

    Parameters
    ----------
    key, patient
        Whose they are.
    slices
        (N, 2 F), from the head down; of a radiograph (1, 2 F).
    positions
        (N, 3) middles of the slices, LPS millimetres.
    holistic
        (D,) the transformer's vector; None of a radiograph, and where no transformer
        was trained.
    """

    key: str
    patient: str
    slices: Vectors
    positions: NDArray[np.float64]
    holistic: Vectors | None

    @property
    def mean(self) -> Vectors:
        """The mean of the slices, (2 F,)."""
        return np.asarray(self.slices.mean(axis=0))


class SliceEmbedder:
    """A pre-trained encoder of slices, loaded once.

    Parameters
    ----------
    run
        Folder of the run.
    precision
        As of :class:`~scanlearn.prediction.representation.embedding.Embedder`.
    """

    def __init__(self, run: Path, *, precision: Precision = "fp32") -> None:
        self.encoder, self.card = load_slice_encoder(run)
        self.device = torch.device(choose_device("auto"))
        self.encoder.to(self.device)
        self._mixed = precision == "auto"

    @torch.inference_mode()
    def scan(self, scan: SliceScan) -> SliceVectors:
        """Embed a scan: every slice, and the volume where there is one."""
        indices = range(scan.grid.shape[0])
        parts = [indices[n : n + _BATCH] for n in indices[::_BATCH]]
        units = scan.intensity.units
        slices = [self.images(scan.read(part), units) for part in parts]
        holistic = None
        if self.card.holistic and not scan.is_radiograph:
            holistic = self._holistic(scan)
        return SliceVectors(
            scan.key, scan.patient, np.concatenate(slices), scan.centres(), holistic
        )

    @torch.inference_mode()
    def images(self, stored: NDArray[np.float32], units: Units) -> Vectors:
        """Embed square images (n, S, S) of stored intensities: (n, 2 F)."""
        with self._precision():
            found = self.encoder.describe(self._pixels(stored, units)[:, None])
        return found.float().cpu().numpy()

    def _holistic(self, scan: SliceScan) -> Vectors:
        """Take slices as the training did."""
        stored = scan.read(even(scan.grid.shape[0], self.card.slices))
        x = self._pixels(stored, scan.intensity.units)
        lengths = torch.tensor([len(x)], device=self.device)
        with self._precision():
            tokens = self.encoder.tokens(x[None], lengths)
            z = self.encoder.volumes(tokens, lengths)
        return z[0].float().cpu().numpy()

    def _pixels(self, stored: NDArray[np.float32], units: Units) -> Tensor:
        x = shifted(torch.from_numpy(stored).to(self.device), units)
        return normalised(pixels_of(x, self.card.slice_side))

    def _precision(self) -> AbstractContextManager[object]:
        return mixed_precision(self.device) if self._mixed else nullcontext()
