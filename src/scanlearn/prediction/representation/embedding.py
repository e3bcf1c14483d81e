"""What an encoder makes of patches: the numbers that scans are compared by.

The vector of a patch is the trunk's output h, without the projection head. The vectors
of a scan's landmarks are pooled into one of the scan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from scanlearn.encoders.encoder_file import load_encoder
from scanlearn.encoders.patch_places import patch_start
from scanlearn.engine.devices import choose_device, mixed_precision
from scanlearn.prediction.representation.encoder_scans import EncoderScan
from scanlearn.views.normalise import normalised, shifted

Progress = Callable[[int, int], None]
Precision = Literal["fp32", "auto"]
Pool = Literal["mean", "lungs"]
Vectors = NDArray[np.float32]

#: Patches in one forward pass, and scans that share the kernels of a landmark.
_BATCH, _SCANS = 64, 8


@dataclass(frozen=True, eq=False)
class ScanVectors:
    """The landmarks of one scan.

    Parameters
    ----------
    key, patient
        Whose they are.
    vectors
        (P, d), landmarks in the order of the atlas.
    positions
        (P, 3) centres of the patches, LPS millimetres.
    lung_share
        (P,) lung fraction of the patches.
    """

    key: str
    patient: str
    vectors: Vectors
    positions: NDArray[np.float64]
    lung_share: NDArray[np.float64]

    def pooled(self, pool: Pool) -> Vectors:
        """Make one vector of the scan.

        Parameters
        ----------
        pool
            ``mean`` over the landmarks, (d,); ``lungs``: mean and standard deviation,
            both weighted by lung fraction, (2 d,).
        """
        if pool == "mean":
            return np.asarray(self.vectors.mean(axis=0))
        weights = self.lung_share
        if not weights.sum() > 0:
            weights = np.ones_like(weights)
        mean = np.average(self.vectors, axis=0, weights=weights)
        spread = np.average((self.vectors - mean) ** 2, axis=0, weights=weights)
        return np.concatenate([mean, np.sqrt(spread)]).astype(np.float32)


class Embedder:
    """A pre-trained encoder, loaded once.

    Parameters
    ----------
    run
        Folder of the run.
    precision
        ``fp32`` gives the same numbers on every machine (to rounding); ``auto`` is bf16
        where the hardware has it: twice as fast on a CPU, cosine 0.99999.
    """

    def __init__(self, run: Path, *, precision: Precision = "fp32") -> None:
        self.encoder, self.card = load_encoder(run)
        self.atlas = self.card.located()
        self.device = torch.device(choose_device("auto"))
        self.encoder.to(self.device)
        self._mixed = precision == "auto"

    @property
    def patch_mm(self) -> float:
        """Side of a patch without its halo."""
        return self.card.core_voxels * min(self.card.spacing_mm)

    def patches(
        self,
        voxels: NDArray[np.generic],
        locations: NDArray[np.generic],
        *,
        progress: Progress = lambda done, total: None,
    ) -> Vectors:
        """Encode patches in any order.

        Each kernel is mixed once for all patches of its location.

        Parameters
        ----------
        voxels
            (n, S, S, S) stored intensities (Hounsfield units for CT).
        locations
            (n, 3) in the encoder's normalised coordinates.

        Returns
        -------
        numpy.ndarray
            (n, d) float32.
        """
        result = np.empty((len(voxels), self.encoder.dim), dtype=np.float32)
        done = 0
        for rows in _by_location(np.asarray(locations)):
            where = np.asarray(locations)[rows[:, 0]]
            flat = rows.ravel()
            result[flat] = self.encode(voxels[flat], where)
            done += len(flat)
            progress(done, len(voxels))
        return result

    def scans(
        self,
        scans: Sequence[EncoderScan],
        *,
        progress: Progress = lambda done, total: None,
    ) -> list[ScanVectors]:
        """Encode all landmarks of some scans."""
        vectors = self._at_landmarks(scans, progress)
        rows = []
        for scan, h in zip(scans, vectors, strict=True):
            points = scan.frame.to_patient(self.atlas.landmarks)
            share = scan.lung_share(points, self.patch_mm)
            rows.append(ScanVectors(scan.key, scan.patient, h, points, share))
        return rows

    def _at_landmarks(
        self, scans: Sequence[EncoderScan], progress: Progress
    ) -> Vectors:
        """Return (n, P, d) vectors; scans share the kernels of a landmark."""
        landmarks = self.atlas.landmarks
        result = np.empty((len(scans), len(landmarks), self.encoder.dim), np.float32)
        done = 0
        for part in _chunks(len(scans), _SCANS):
            some = scans[part]
            for places in _chunks(len(landmarks), max(1, _BATCH // len(some))):
                where = landmarks[places]
                voxels = np.stack([self.cut(s, w) for w in where for s in some])
                vectors = self.encode_placed(voxels, where)
                vectors = vectors.reshape(len(where), len(some), -1)
                result[part, places] = vectors.swapaxes(0, 1)
                done += len(voxels)
                progress(done, len(scans) * len(landmarks))
        return result

    def cut(self, scan: EncoderScan, location: NDArray[np.generic]) -> Vectors:
        """Return the patch (S, S, S) of a scan at a location."""
        side = self.card.patch_voxels
        return scan.read(patch_start(scan, location, side), (side,) * 3)

    @torch.inference_mode()
    def encode(
        self, voxels: NDArray[np.generic], locations: NDArray[np.generic]
    ) -> Vectors:
        """Encode (G * B, S, S, S) patches that come location by location (G, 3)."""
        where = torch.from_numpy(np.asarray(locations, dtype=np.float32))
        with self.precision():
            h: Tensor = self.encoder(
                self.network_input(voxels)[:, None], where.to(self.device)
            )
        return h.float().cpu().numpy()

    def encode_placed(
        self, voxels: NDArray[np.generic], locations: NDArray[np.floating]
    ) -> Vectors:
        """Encode patches of canonical scans at locations of their frames.

        As :meth:`encode`, but in our convention instead of the encoder's own.
        """
        ways = self.card.convention
        return self.encode(ways.patches(voxels), ways.locations(locations))

    def network_input(self, voxels: NDArray[np.generic]) -> Tensor:
        """Return stored intensities as the encoder takes them, on its device."""
        x = torch.from_numpy(np.ascontiguousarray(voxels, dtype=np.float32))
        return normalised(shifted(x.to(self.device), self.card.units))

    def precision(self) -> AbstractContextManager[object]:
        """Return the context in which the encoder is to be used."""
        if self._mixed:
            return mixed_precision(self.device)
        if self.device.type == "cuda":
            # The hardware's default would round to 10 bits.
            return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
        return nullcontext()


def _by_location(locations: NDArray[np.generic]) -> Iterator[NDArray[np.intp]]:
    """Yield rows (G, B): B of one location each, all locations of a batch different."""
    _, number = np.unique(locations, axis=0, return_inverse=True)
    order = np.argsort(number.ravel(), kind="stable")
    borders = np.flatnonzero(np.diff(number.ravel()[order])) + 1
    pieces: dict[int, list[NDArray[np.intp]]] = {}
    for rows in np.split(order, borders):
        for piece in np.split(rows, range(_BATCH, len(rows), _BATCH)):
            pieces.setdefault(len(piece), []).append(piece)
    for size, alike in pieces.items():
        for part in _chunks(len(alike), max(1, _BATCH // size)):
            yield np.stack(alike[part])


def _chunks(total: int, size: int) -> Iterator[slice]:
    return (slice(first, first + size) for first in range(0, total, size))
