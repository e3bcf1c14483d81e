"""Telling whether a source has changed, without keeping anything of it."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.keys import keyed_hash

_BLOCK = 1 << 20
_DIGITS = 20


def source_stamp(files: Sequence[Path], salt: bytes) -> str:
    """Return a hash of the sizes and times of files: quick, it reads none of them."""
    facts = [(s.st_size, s.st_mtime_ns) for s in (path.stat() for path in files)]
    return keyed_hash(repr(sorted(facts)), salt, stream="stamp")[:_DIGITS]


def source_hash(files: Sequence[Path], salt: bytes) -> str:
    """Return a hash of every byte of the files; the order of the files is no matter.

    It is keyed with the salt, so that nobody without it can test whether a known file
    is in the cohort.
    """
    each = []
    for path in files:
        digest = hmac.new(salt, b"source\0", hashlib.sha256)
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
        each.append(digest.digest())
    return keyed_hash(b"".join(sorted(each)), salt, stream="source")[:_DIGITS]


def voxel_hash(voxels: NDArray[np.generic], salt: bytes) -> str:
    """Return a hash of values and shape: equal for one image in two files."""
    digest = hmac.new(salt, repr(voxels.shape).encode(), hashlib.sha256)
    for plane in voxels:
        digest.update(np.ascontiguousarray(plane, dtype=np.float32).data)
    return digest.hexdigest()[:_DIGITS]
