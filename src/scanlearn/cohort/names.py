"""File names of scans and of the label maps that belong to them."""

from __future__ import annotations

import re
from pathlib import Path

_ENDINGS = re.compile(
    r"\.(nii|hdr|img|dcm|dicom|ima|nrrd|nhdr|mha|mhd|png|jpe?g|tiff?|npy"
    r"|(ome\.)?zarr)(\.gz)?$",
    re.IGNORECASE,
)
_LABEL = re.compile(
    r"[_-](labels?|label[_-]?map|seg|segmentation|mask)$", re.IGNORECASE
)


def stem_of(path: Path) -> str:
    """Return a file's name without the endings of image files; a folder's name."""
    return _ENDINGS.sub("", path.name)


def scan_stem_of(path: Path) -> str:
    """Return the stem of the scan that a label file is named after."""
    return _LABEL.sub("", stem_of(path))


def is_label_name(path: Path) -> bool:
    """Whether a file is named like the label map of a scan."""
    return _LABEL.search(stem_of(path)) is not None
