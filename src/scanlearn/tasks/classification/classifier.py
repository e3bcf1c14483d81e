"""Classifying one image: the probability of each class, and where it was seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from scanlearn.cohort.record import Intensity
from scanlearn.cohort.slices import square_grid
from scanlearn.encoders.pixels import image_pixels
from scanlearn.engine.devices import choose_device
from scanlearn.nets.image_classifier import ImageClassifier
from scanlearn.prediction.ready_image import ready_image
from scanlearn.scans.geometry import Grid
from scanlearn.scans.resample import resample
from scanlearn.scans.scan import Scan
from scanlearn.tasks.classification.card import ClassifierCard, load_classifier
from scanlearn.views.normalise import normalised


@dataclass(frozen=True, eq=False)
class ClassifiedImage:
    """What a model says of one image.

    Parameters
    ----------
    probabilities
        (K,) of the classes.
    activation
        (K, 1, rows, columns) on the image's own grid: what each place adds to a class's
        logit, times the number of places.
    grid
        The image's own.
    """

    probabilities: NDArray[np.float64]
    activation: NDArray[np.float32]
    grid: Grid


class Classifier:
    """A fine-tuned run, loaded once for any number of images.

    Parameters
    ----------
    run
        Folder of the run.
    """

    def __init__(self, run: Path) -> None:
        self.network: ImageClassifier
        self.card: ClassifierCard
        self.network, self.card = load_classifier(run)
        self.device = torch.device(choose_device("auto"))
        self.network.to(self.device)

    @torch.inference_mode()
    def classify(
        self, scan: Scan, *, progress: Callable[[int, int], None] | None = None
    ) -> ClassifiedImage:
        """Classify an image as it was read.

        Raises
        ------
        BadScan
            If it is a volume, or not of the kind that the network was trained on.
        """
        card = self.card
        ready = ready_image(scan, units=card.units, size=card.stored_size)
        logits, maps = self.network.activation(
            self._pixels(ready.stored, ready.intensity)
        )
        square = square_grid(ready.grid, card.side)
        activation = [
            resample(one[None], square, scan.grid, order=1, outside=0.0)
            for one in maps[0].float().cpu().numpy()
        ]
        if progress is not None:
            progress(1, 1)
        return ClassifiedImage(
            card.probabilities(logits.double().cpu().numpy())[0],
            np.stack(activation).astype(np.float32),
            scan.grid,
        )

    @torch.inference_mode()
    def probabilities(self, x: torch.Tensor) -> NDArray[np.float64]:
        """Return (n, K) of images (n, 1, side, side) as the network takes them."""
        logits = self.network(x.to(self.device))
        return self.card.probabilities(logits.double().cpu().numpy())

    def stored(
        self, voxels: NDArray[np.generic], intensity: Intensity
    ) -> NDArray[np.float64]:
        """Return the probabilities (K,) of an image (1, H, W) of a cohort."""
        return np.asarray(self.probabilities(self._pixels(voxels, intensity))[0])

    def _pixels(
        self, stored: NDArray[np.generic], intensity: Intensity
    ) -> torch.Tensor:
        x = image_pixels(stored, intensity, side=self.card.side)
        return normalised(x[None].to(self.device))
