"""Segmenting any number of scans with a fine-tuned run."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from scanlearn.predict.each_scan import Request, Tell, each_scan
from scanlearn.predict.saving import save_segmentation
from scanlearn.predict.segmenting import segmenter_of
from scanlearn.runs.folder import RunFolder


def predict_segmentations(run: RunFolder, request: Request, tell: Tell) -> list[Path]:
    """Segment every scan of a request; see :func:`save_segmentation` for the files."""
    segment = partial(segmenter_of(run.path).segment, overlap=request.overlap)
    return each_scan(run, request, segment, save_segmentation, tell)
