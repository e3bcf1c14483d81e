"""Finding the scan of a label file: by its reference, its name or its folder."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.labels.names import (
    is_plain_label_name,
    scan_stem_of,
    stem_of,
)
from scanlearn.cohort.layout import Source
from scanlearn.errors import BadLabels, BadScan
from scanlearn.scans.labels.label_arrays import Note, looks_like_labels
from scanlearn.scans.labels.label_reference import label_class, read_reference
from scanlearn.scans.read import read_scan
from scanlearn.scans.tables.named_files import same_name

#: nnU-Net numbers the channels of a scan; its labels have no such number.
_CHANNEL = re.compile(r"_0\d{3}$")


@dataclass(frozen=True)
class LabelFile:
    """A label map, the scan it is for, and the ``split`` that a table puts it in.

    Parameters
    ----------
    key
        Of the scan; empty where it matches none.
    path
        The map, or the folder of several ``organs``.
    split
        As a table says.
    organs
        Masks of one class each, named after it; empty for one map of all classes.
    notes
        What its reference to a scan told.
    """

    key: str
    path: Path
    split: str = ""
    organs: tuple[Path, ...] = ()
    notes: tuple[Note, ...] = ()


class Matcher:
    """Finds the scan of a label file by what it refers to, its name or its folder."""

    def __init__(
        self, source: Path, cohort: Cohort, sources: dict[str, Source]
    ) -> None:
        self._root = source.parent if source.is_file() else source
        self._sources = sources
        self._names = _names_of_scans(cohort, sources)
        self._series: dict[str, list[str]] = defaultdict(list)
        for key, one in sources.items():
            self._series[one.series.split("#")[0]].append(key)

    def key_of(self, file: Path) -> str:
        """Return the scan that a file refers to or is named like; empty for none."""
        named = self._named(stem_of(file), scan_stem_of(file))
        referred = [
            key
            for series in sorted(read_reference(file).series)
            for key in self._series.get(series, [])
        ]
        # Several phases of a series, or several series: the name may tell.
        if len(referred) == 1 and not named:
            return referred[0]
        return _the_one(file, named or referred, self._sources)

    def in_folders_of_scans(self, files: Sequence[Path]) -> list[LabelFile]:
        """Return the maps, or organs, in folders that are named like a scan.

        Masks may also lie beside the only scan of their folder.
        """
        found, organs = [], defaultdict(list)
        for file in files:
            folder = self._folder_of_scan(file)
            keys = self._named(folder.name) if folder else self._beside(file)
            if folder is None and (len(keys) != 1 or not _holds_labels(file)):
                continue
            key = _the_one(file, keys, self._sources)
            if is_plain_label_name(file) or label_class(file):
                found.append(LabelFile(key, file))
            else:
                organs[key, folder or file.parent].append(file)
        for (key, folder), inside in organs.items():
            place = inside[0] if len(inside) == 1 else folder
            found.append(LabelFile(key, place, organs=tuple(inside)))
        return found

    def _folder_of_scan(self, file: Path) -> Path | None:
        """Return the nearest folder of the labels that is named like a scan."""
        inside = [f for f in file.parents if f == self._root or self._root in f.parents]
        return next((f for f in inside if self._named(f.name)), None)

    def _beside(self, file: Path) -> list[str]:
        """Return the scans that lie in a file's own folder."""
        return [
            key
            for key, one in self._sources.items()
            if Path(one.path).parent.resolve() == file.parent.resolve()
        ]

    def _named(self, *stems: str) -> list[str]:
        found = (self._names.get(same_name(stem)) for stem in stems)
        return next((keys for keys in found if keys), [])


def _holds_labels(file: Path) -> bool:
    """Whether the values of a mask are classes; DICOM files say what they are."""
    if label_class(file):
        return True
    try:
        values = read_scan(file).voxels
    except BadScan:
        return is_plain_label_name(file)
    return looks_like_labels(values, beside_scan=True)


def _names_of_scans(cohort: Cohort, sources: dict[str, Source]) -> dict[str, list[str]]:
    """Return the keys of the scans of each name: the source's stem, or the key.

    Also the stem without a number of its channel, and the folder of a scan whose stem
    is that of others too.
    """
    names: dict[str, list[str]] = defaultdict(list)
    others: dict[str, list[str]] = defaultdict(list)
    for record in cohort.records():
        names[same_name(record.key)].append(record.key)
    for key, one in sources.items():
        names[same_name(stem_of(Path(one.path)))].append(key)
    for key, one in sources.items():
        stem = same_name(stem_of(Path(one.path)))
        if _CHANNEL.search(stem):
            others[_CHANNEL.sub("", stem)].append(key)
        if len(names[stem]) > 1:
            others[same_name(Path(one.path).parent.name)].append(key)
    return others | names


def _the_one(file: Path, keys: Sequence[str], sources: dict[str, Source]) -> str:
    """Choose among scans of one name the one whose folder has the mask's folder's name.

    Raises
    ------
    BadLabels
        If that does not tell them apart.
    """
    if len(keys) <= 1:
        return keys[0] if keys else ""
    beside = [
        key for key in keys if Path(sources[key].path).parent.name == file.parent.name
    ]
    if len(beside) == 1:
        return beside[0]
    raise BadLabels(
        f"{file} may belong to any of {len(keys)} scans of that name or series",
        expected="one scan a name",
        next_step="Name the mask by its scan's key (see catalogue.csv), or use a table "
        "with the columns path and mask.",
    )


def near_name(file: Path, names: Sequence[str]) -> str:
    """Return which of some scans' names a file's is most like; empty for none."""
    stems = {same_name(stem_of(Path(name))): name for name in names}
    near = get_close_matches(same_name(scan_stem_of(file)), stems, n=1, cutoff=0.8)
    return stems[near[0]] if near else ""
