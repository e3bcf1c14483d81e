"""What single images of a cohort show: one class each, or any number of findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scanlearn.cohort.catalogue import Cohort
from scanlearn.config.classification import ClassificationConfig
from scanlearn.errors import BadLabels
from scanlearn.scans.tables.label_tables import read_table
from scanlearn.tasks.shared.class_names import check_visible
from scanlearn.tasks.shared.saved_labels import save_labels, saved_labels
from scanlearn.tasks.shared.table_rows import row_source, scan_keys

IMAGE_LABELS_FILE = "image_labels.json"

#: Between the findings of one image.
SEPARATOR = ";"

#: Labels that say that somebody looked and found nothing; classes like them come first.
NOTHING = ("normal", "healthy", "none", "negative", "no finding", "no findings")


@dataclass(frozen=True)
class ImageLabel:
    """What one image shows.

    Parameters
    ----------
    scan, patient
        Keys.
    classes
        Names; of exclusive classes one, of several findings any number.
    split
        As the table says; empty where it does not.
    """

    scan: str
    patient: str
    classes: tuple[str, ...]
    split: str = ""


@dataclass(frozen=True)
class ImageLabels:
    """Labels of some images of a cohort; all its others have none.

    Parameters
    ----------
    classes
        Names in order; of two exclusive ones the second is what is looked for.
    several
        Whether an image may show any number of them; else it shows one.
    items
        One a labelled image, in order of keys.
    remarks
        What the user should know.
    """

    classes: tuple[str, ...]
    several: bool
    items: tuple[ImageLabel, ...]
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_visible(self.classes)

    @property
    def patient_keys(self) -> tuple[str, ...]:
        """Keys of the labelled patients, each once, in order."""
        return tuple(sorted({item.patient for item in self.items}))

    @property
    def teaching_keys(self) -> tuple[str, ...]:
        """Keys of those that can be learned from alone: of all."""
        return self.patient_keys

    def of(self, patients: Collection[str]) -> ImageLabels:
        """Return the labels of some patients; the classes stay."""
        items = tuple(item for item in self.items if item.patient in patients)
        return replace(self, items=items)

    def save(self, folder: Path) -> None:
        """Write ``image_labels.json``: keys, no names of patients."""
        content = {k: v for k, v in asdict(self).items() if k != "remarks"}
        save_labels(folder / IMAGE_LABELS_FILE, content)

    @classmethod
    def load(cls, folder: Path) -> ImageLabels:
        """Read labels that were saved.

        Raises
        ------
        BadLabels
            If the folder holds none.
        """
        path = folder / IMAGE_LABELS_FILE
        with saved_labels(path) as content:
            items = tuple(
                ImageLabel(
                    str(one["scan"]),
                    str(one["patient"]),
                    tuple(str(name) for name in one["classes"]),
                    str(one["split"]),
                )
                for one in content["items"]
            )
            classes = tuple(str(name) for name in content["classes"])
            return cls(classes, bool(content["several"]), items)


def collect_image_labels(
    source: Path, cohort: Cohort, config: ClassificationConfig
) -> ImageLabels:
    """Read what a cohort's images show from a table.

    Parameters
    ----------
    source
        CSV with ``path`` and ``label``, or the inputs of a classification run. An image
        with an empty label, or in no row, has none.
    cohort
        The cohort; its volumes are no single images.
    config
        Whether classes exclude each other.

    Raises
    ------
    BadLabels
        If no row fits an image, or there are fewer than two classes.
    """
    for folder in (source, source / "inputs"):
        if (folder / IMAGE_LABELS_FILE).is_file():
            return _of_cohort(ImageLabels.load(folder), cohort)
    table = read_table(source, needed=(("label",),))
    keys, records = scan_keys(cohort), {r.key: r for r in cohort.records()}
    rows: list[dict[Any, Any]] = table.to_dict("records")
    said: dict[str, str] = {}
    splits: dict[str, str] = {}
    strangers = volumes = 0
    for row in rows:
        if not row["label"]:
            continue
        record = records.get(keys.get(row_source(row), ""))
        if record is None:
            strangers += 1
        elif not record.is_radiograph:
            volumes += 1
        elif said.setdefault(record.key, row["label"]) != row["label"]:
            raise BadLabels(
                f"{source.name} says two things of {row['path'].name}: "
                f"'{said[record.key]}' and '{row['label']}'",
                expected=f"one row an image; several findings joined by '{SEPARATOR}'",
                next_step="Correct the table",
            )
        else:
            splits[record.key] = str(row.get("split", ""))
    if not said:
        raise BadLabels(
            f"No row of {source.name} labels a radiograph of {cohort.path.name}"
            + (f": {volumes} name volumes" if volumes else ""),
            expected="the paths that the cohort was prepared from",
            next_step="Choose the cohort that these images were prepared into"
            if not volumes
            else "Learn what volumes show with --task outcome",
        )
    patients = {key: records[key].patient for key in said}
    found = labels_of(said, patients, config, splits)
    remarks = list(found.remarks)
    if strangers:
        remarks.append(f"{strangers} rows name no scan of the cohort: passed over")
    if volumes:
        remarks.append(f"{volumes} rows name volumes: passed over")
    left = sum(r.is_radiograph for r in records.values()) - len(said)
    if left:
        remarks.append(f"{left} images of the cohort have no label")
    return replace(found, remarks=tuple(remarks))


def labels_of(
    said: Mapping[str, str],
    patients: Mapping[str, str],
    config: ClassificationConfig,
    splits: Mapping[str, str] | None = None,
) -> ImageLabels:
    """Make labels of what was said of images.

    Parameters
    ----------
    said
        By key of the scan, as in a table's column ``label``.
    patients
        Keys of the patients, by key of the scan.
    config
        Whether classes exclude each other.
    splits
        ``train``, ``val`` or ``test``, by key of the scan.

    Raises
    ------
    BadLabels
        If there are fewer than two classes (of several findings: one).
    """
    parts = {key: _parts(text) for key, text in said.items()}
    several = config.kind == "several" or (
        config.kind == "auto" and any(len(names) > 1 for names in parts.values())
    )
    if several:
        parts = {key: _findings(names, key) for key, names in parts.items()}
    _check(parts, several=several)
    counts = Counter(name for names in parts.values() for name in names)
    items = tuple(
        ImageLabel(key, patients[key], parts[key], (splits or {}).get(key, ""))
        for key in sorted(parts)
    )
    classes = tuple(sorted(counts, key=lambda name: (not says_nothing(name), name)))
    found = ImageLabels(classes, several, items)
    return replace(found, remarks=(_counted(found, counts),))


def says_nothing(name: str) -> bool:
    """Whether a label says that nothing was found."""
    return name.lower() in NOTHING


def _parts(text: str) -> tuple[str, ...]:
    names = (part.strip() for part in text.split(SEPARATOR))
    return tuple(dict.fromkeys(name for name in names if name))


def _findings(names: Sequence[str], key: str) -> tuple[str, ...]:
    """Return the findings of an image, none where a label says so."""
    found = tuple(name for name in names if not says_nothing(name))
    if found and len(found) < len(names):
        raise BadLabels(
            f"The label of {key} says that there is nothing, and {', '.join(found)}",
            expected="findings, or that there are none",
            next_step="Correct the table",
        )
    return found


def _check(parts: Mapping[str, Sequence[str]], *, several: bool) -> None:
    if not several and any(len(names) != 1 for names in parts.values()):
        raise BadLabels(
            "An image has several labels, but the classes exclude each other",
            expected="one label an image",
            next_step="Say kind=several, or correct the table",
        )
    shown = {tuple(names) for names in parts.values()}
    if len(shown) < 2:
        raise BadLabels(
            f"All {len(parts)} labelled images show the same",
            expected="images with and without what is looked for",
            next_step="Label images of another class, such as normal ones",
        )


def _counted(found: ImageLabels, counts: Mapping[str, int]) -> str:
    each = ", ".join(f"{name} {counts[name]}" for name in found.classes)
    empty = sum(not item.classes for item in found.items)
    none = f", none of them {empty}" if empty else ""
    what = "findings" if found.several else "classes"
    patients = len(found.patient_keys)
    return (
        f"{len(found.items)} labelled images of {patients} patients; {what}: "
        f"{each}{none}"
    )


def _of_cohort(saved: ImageLabels, cohort: Cohort) -> ImageLabels:
    known = set(cohort.keys())
    items = tuple(item for item in saved.items if item.scan in known)
    if not items:
        raise BadLabels(
            f"None of the labelled images is in {cohort.path.name}",
            expected="labels of scans of this cohort",
            next_step="Choose the cohort that they were made on",
        )
    counts = Counter(name for item in items for name in item.classes)
    found = replace(saved, items=items)
    return replace(found, remarks=(_counted(found, counts),))
