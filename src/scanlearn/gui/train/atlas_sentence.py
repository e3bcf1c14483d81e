"""One sentence on how well atlases lay in a cohort's scans so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from scanlearn.cohort.atlas.atlas_quality import AtlasQuality
from scanlearn.gui.viewer.layers import short_key

#: Scans named in the sentence.
_NAMED = 4


def atlas_sentence(fits: Mapping[str, Sequence[AtlasQuality]]) -> str:
    """Tell of each atlas how many scans it fits; "" where none was tried."""
    by_atlas: dict[tuple[str, str], dict[str, AtlasQuality]] = {}
    for key, some in fits.items():
        for fit in some:
            by_atlas.setdefault((fit.atlas, fit.kind), {})[key] = fit
    return " ".join(_of_atlas(*name, one) for name, one in by_atlas.items())


def _of_atlas(atlas: str, kind: str, fits: Mapping[str, AtlasQuality]) -> str:
    name = atlas if atlas == "default" else short_key(atlas)
    used = {key: fit for key, fit in fits.items() if fit.usable}
    text = f"The {name} atlas of the {kind} fits {len(used)} of {len(fits)} scans"
    dice = [fit.quality.dice for fit in used.values() if fit.quality]
    if dice:
        text += f", overlap {min(dice):.2f} to {max(dice):.2f}"
    doubtful = [key for key, fit in used.items() if fit.problems]
    if doubtful:
        text += f"; look at {_keys(doubtful)}"
    out = [key for key in fits if key not in used]
    if out:
        text += f"; left out: {_keys(out)}"
    return text + "."


def _keys(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - _NAMED} more" if len(keys) > _NAMED else ""
    return ", ".join(short_key(key) for key in keys[:_NAMED]) + more


def atlas_sentence_of(cohort: Path) -> str:
    """Return the sentence on a cohort; reads every sidecar, not on the main thread."""
    from scanlearn.cohort.atlas.atlas_cache import kept_qualities
    from scanlearn.cohort.catalogue import Cohort

    opened = Cohort(cohort)
    return atlas_sentence(kept_qualities(opened.layout, opened.records()))
