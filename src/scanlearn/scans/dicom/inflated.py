"""Deflated DICOM files: how large they become is found out before they are read.

pydicom inflates such a file as a whole, and three megabytes can become three gigabytes.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from scanlearn.errors import BadScan
from scanlearn.scans.dicom.slice_header import DEFLATED

#: Images shrink to a tenth; a label map of one value to a hundredth.
_MOST_TIMES = 100
#: However small it is, a file may become so large, in bytes.
_ALWAYS = 64_000_000

#: The transfer syntax stands in the first bytes, the data behind their group.
_HEAD = 4096
_GROUP_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"
_PIECE = 1 << 20


def refuse_inflation(path: Path) -> None:
    """Refuse a deflated DICOM file that becomes larger than any image does.

    It is inflated piece by piece, up to the bound, and nothing of it is kept.

    Raises
    ------
    BadScan
        It becomes larger.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
        if DEFLATED.encode() not in head or head[132:140] != _GROUP_LENGTH:
            return
        file.seek(144 + int.from_bytes(head[140:144], "little"))
        most = max(_ALWAYS, _MOST_TIMES * path.stat().st_size)
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        size, rest = 0, b""
        while size <= most and not inflater.eof:
            rest = rest or file.read(_PIECE)
            if not rest:
                return
            try:
                size += len(inflater.decompress(rest, _PIECE))
            except zlib.error:
                return  # not deflated, or damaged: whoever reads it tells
            rest = inflater.unconsumed_tail
    if size > most:
        raise BadScan(
            f"{path} is deflated and becomes larger than {most:,} bytes",
            expected="a DICOM image, of which deflating leaves a tenth",
            next_step="Export it again without compression, or take it out",
        )
