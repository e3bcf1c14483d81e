"""Names of labels in the header of a NIfTI file, as TotalSegmentator writes them."""

from __future__ import annotations

import re
from pathlib import Path

import nibabel as nib

from scanlearn.scans.formats import format_of

#: One entry of a ``LabelTable``: ``<Label Key="1" …><![CDATA[spleen]]></Label>``.
_LABEL = re.compile(
    rb'<Label\s[^>]*?Key="(\d+)"[^>]*>\s*(?:<!\[CDATA\[)?(.*?)(?:\]\]>)?\s*</Label>',
    re.S,
)


def nifti_label_names(path: Path) -> dict[int, str]:
    """Return the names of labels in a NIfTI file's header extensions, by value."""
    known = format_of(path)
    if known is None or known.kind != "nifti":
        return {}
    names: dict[int, str] = {}
    for extension in getattr(nib.load(path).header, "extensions", []):
        content = extension.get_content()
        raw = content if isinstance(content, bytes) else str(content).encode()
        for value, name in _LABEL.findall(raw):
            names[int(value)] = name.decode("utf-8", errors="replace").strip()
    return {value: name for value, name in names.items() if value > 0 and name}
