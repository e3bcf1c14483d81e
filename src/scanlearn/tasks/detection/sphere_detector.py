"""Detecting in one scan with a fine-tuned network, in the patient's millimetres."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from scanlearn.anatomy.landmarks import Atlas
from scanlearn.anatomy.lungs import LungMask
from scanlearn.engine.devices import choose_device, mixed_precision
from scanlearn.nets.sliding_windows import Progress
from scanlearn.prediction.ready_volume import ready_volume
from scanlearn.scans.geometry import Grid
from scanlearn.scans.scan import Scan
from scanlearn.scans.tables.finding_table import Finding
from scanlearn.tasks.detection.card import load_detector
from scanlearn.tasks.detection.sphere_search import find_spheres
from scanlearn.views.normalise import normalised, shifted


@dataclass(frozen=True, eq=False)
class DetectedScan:
    """The findings of one scan.

    Parameters
    ----------
    findings
        Best first.
    grid
        The source grid.
    lungs
        Lung mask of a CT.
    """

    findings: tuple[Finding, ...]
    grid: Grid
    lungs: LungMask | None = None


class Detector:
    """A fine-tuned run, loaded once for any number of scans.

    Parameters
    ----------
    run
        Folder of the run.
    """

    def __init__(self, run: Path) -> None:
        self.network, self.card = load_detector(run)
        self.device = torch.device(choose_device("auto"))
        self.network.to(self.device)

    def detect(
        self, scan: Scan, *, overlap: float = 0.25, progress: Progress | None = None
    ) -> DetectedScan:
        """Detect in a scan as it was read.

        Raises
        ------
        BadScan
            If the scan is not of the kind that the network was trained on.
        """
        card = self.card
        ready = ready_volume(
            scan,
            units=card.units,
            kind=card.frame,
            stored_spacing_mm=card.stored_spacing_mm,
            factor=card.factor,
            atlas=Atlas.from_dict(card.atlas) if card.atlas else None,
        )
        volume = normalised(shifted(torch.from_numpy(ready.voxels), card.units))
        lungs = ready.lungs
        with mixed_precision(self.device):
            found = find_spheres(
                self.network,
                volume.to(self.device),
                ready.grid,
                ready.frame,
                tile=card.tile,
                overlap=overlap,
                least=card.least_score,
                lungs=(lungs.mask, lungs.grid)
                if card.within_lungs and lungs is not None and lungs.volume_ml
                else None,
                progress=progress,
            )
        findings = tuple(
            Finding(float(score), (x, y, z), diameter, card.finding)
            for score, (x, y, z, diameter) in zip(
                found.scores, found.spheres.tolist(), strict=True
            )
        )
        return DetectedScan(findings, scan.grid, lungs)
