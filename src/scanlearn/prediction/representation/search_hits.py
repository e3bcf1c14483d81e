"""What a search finds, and what every search needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from scanlearn.cohort.catalogue import Cohort
from scanlearn.encoders.encoder_file import CARD, WEIGHTS
from scanlearn.files import write_text, written_beside
from scanlearn.prediction.representation.embedding import Vectors
from scanlearn.runs.folder import RunFolder

_Row = TypeVar("_Row")


@dataclass(frozen=True)
class Hit:
    """A scan that is like the one asked for.

    Parameters
    ----------
    scan, patient
        Keys of the cohort.
    similarity
        Cosine of vectors standardised over the cohort, in [-1, 1].
    position
        The same place in this scan, LPS millimetres, where one was asked for.
    """

    scan: str
    patient: str
    similarity: float
    position: tuple[float, float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; coordinates in millimetres."""
        found: dict[str, Any] = {
            "scan": self.scan,
            "patient": self.patient,
            "similarity": round(self.similarity, 4),
        }
        if self.position is not None:
            coordinates = (round(float(mm), 2) for mm in self.position)
            found |= dict(zip("xyz", coordinates, strict=True))
        return found


def ranked(hits: Iterable[Hit]) -> list[Hit]:
    """Return hits, the most similar first."""
    return sorted(hits, key=lambda hit: -hit.similarity)


def cosines(vectors: Vectors, query: Vectors) -> NDArray[np.float64]:
    """Return cosines (n,) of vectors (n, d) and a query (d,), standardised alike."""
    mean, spread = vectors.mean(axis=0), vectors.std(axis=0)
    spread = np.where(spread > 0, spread, 1)
    a, b = (vectors - mean) / spread, (query - mean) / spread
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b)
    return np.asarray(a @ b / np.maximum(lengths, 1e-12), dtype=np.float64)


def key_of(like: str, series: str, cohort: Cohort) -> str:
    """Return the key of the scan asked for; empty where the cohort has it not."""
    if like in set(cohort.keys()):
        return like
    path = absolute_path(like)
    for key, source in cohort.sources().items():
        if absolute_path(source.path) == path and series in ("", source.series):
            return key
    return ""


def absolute_path(path: str) -> Path:
    """Return the path that a user typed."""
    return Path(path).expanduser().absolute()


def kept(
    run: RunFolder,
    cohort: Cohort,
    *,
    make: Callable[[], Sequence[_Row]],
    columns: Callable[[Sequence[_Row]], Mapping[str, NDArray[Any]]],
    rows: Callable[[Mapping[str, NDArray[Any]]], list[_Row]],
) -> list[_Row]:
    """Return the vectors of a cohort's scans: from the run's folder if they are there.

    So that the second search of a cohort takes seconds.

    Parameters
    ----------
    run, cohort
        Whose encoder and whose scans.
    make
        Embeds all scans.
    columns, rows
        Their arrays as they are kept, and back.
    """
    path = run.path / "embeddings" / f"{cohort.fingerprint()}-{_weights_hash(run)}.npz"
    if not path.exists():
        arrays: dict[str, Any] = {**columns(make())}
        with written_beside(path) as draft, draft.open("wb") as stream:
            np.savez(stream, **arrays)
    with np.load(path, allow_pickle=False) as found:
        return rows({name: found[name] for name in found.files})


def _weights_hash(run: RunFolder) -> str:
    """Return a hash of the encoder and of how it is to be used."""
    digest = hashlib.sha256()
    for name in (WEIGHTS, CARD):
        digest.update((run.checkpoints / name).read_bytes())
    return digest.hexdigest()[:16]


def write_hits(path: Path, hits: Sequence[Hit]) -> None:
    """Write hits as a JSON list."""
    write_text(path, json.dumps([hit.to_dict() for hit in hits], indent=1))
