"""Detecting on one radiograph with a fine-tuned network, in pixels of its file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from scanlearn.encoders.pixels import image_pixels
from scanlearn.engine.devices import choose_device, mixed_precision
from scanlearn.nets.sliding_windows import Progress
from scanlearn.prediction.ready_image import ready_image
from scanlearn.scans.boxes import to_pixels
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Scan
from scanlearn.scans.tables.finding_table import BoxFinding
from scanlearn.tasks.detection.box_search import FoundBoxes, find_boxes
from scanlearn.tasks.detection.card import (
    load_slice_detector,
)


@dataclass(frozen=True, eq=False)
class DetectedRadiograph:
    """The findings on one radiograph.

    Parameters
    ----------
    findings
        Best first, in pixels of the file.
    grid
        The source grid.
    """

    findings: tuple[BoxFinding, ...]
    grid: Grid


class BoxDetector:
    """A fine-tuned run, loaded once for any number of radiographs.

    Parameters
    ----------
    run
        Folder of the run.
    """

    def __init__(self, run: Path) -> None:
        self.network, self.card = load_slice_detector(run)
        self.device = torch.device(choose_device("auto"))
        self.network.to(self.device)

    def find(self, scan: Scan) -> FoundBoxes:
        """Detect on a radiograph as it was read, in millimetres of its plane.

        Raises
        ------
        BadScan
            If it is a volume, or its intensities are of another kind.
        """
        card = self.card
        ready = ready_image(scan, units=card.units, size=card.radiograph_size)
        square = image_pixels(ready.stored, ready.intensity, side=card.side)
        with mixed_precision(self.device):
            return find_boxes(self.network, square, ready.grid, least=card.least_score)

    def detect(
        self, scan: Scan, *, progress: Progress | None = None
    ) -> DetectedRadiograph:
        """Detect on a radiograph as it was read, in pixels of its file."""
        found = self.find(scan)
        if progress is not None:
            progress(1, 1)
        findings = tuple(
            BoxFinding(float(score), (x, y, width, height), self.card.finding)
            for score, (x, y, width, height) in zip(
                found.scores, to_pixels(found.boxes, scan.grid).tolist(), strict=True
            )
        )
        return DetectedRadiograph(findings, scan.grid)
