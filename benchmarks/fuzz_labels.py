"""Damage files of labels at random and give them to the terminal: exits 0 and 2 alone.

A phantom CT is prepared; its lungs are written as RT-STRUCT, DICOM-SEG, ``.seg.nrrd``
and NIfTI. Then, for some minutes, one of them is changed (elements of DICOM, lines of
headers, coordinates of contours, bytes) and given to ``scanlearn finetune --labels``,
whose pre-training run does not exist: labels that are taken end there, with exit 2 as
well, but in other words. What ends with another status, or hangs, is kept and told::

    python benchmarks/fuzz_labels.py --minutes 3
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RTStructureSetStorage

from scanlearn.cli import main as run_command
from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.phantom.sample import write_sample
from scanlearn.scans.files.write_nifti import write_nifti
from scanlearn.scans.geometry import Grid
from scanlearn.scans.labels.read_labels import read_label_map
from scanlearn.scans.labels.write_dicom_seg import write_dicom_seg
from scanlearn.scans.read import read_scan

#: What a changed element or number may become.
VALUES = ("", "0", "-1", "1", "255", "65535", "1e9", "-1e300", "nan", "1,5", "x" * 70)

NAMES = {1: "right lung", 2: "left lung"}
SECONDS_EACH = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz_labels"))
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE
    chance = random.Random(options.seed)
    signal.signal(signal.SIGALRM, _too_long)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SCANLEARN_HOME"] = str(Path(folder, "home"))
        cohort, originals = write_inputs(Path(folder))
        until = time.monotonic() + 60 * options.minutes
        while time.monotonic() < until:
            original = chance.choice(originals)
            labels = Path(folder, "labels") / original.name
            labels.parent.mkdir(exist_ok=True)
            change(original, labels, chance)
            status, said = give(cohort, labels)
            counts[f"{original.name}: {_outcome(status, said)}"] += 1
            if status not in (0, 2):
                options.keep.mkdir(exist_ok=True)
                kept = options.keep / f"{sum(counts.values())}_{labels.name}"
                kept.write_bytes(labels.read_bytes())
                kept.with_suffix(".txt").write_text(said)
            labels.unlink()
    failed = sum(n for key, n in counts.items() if "exit" in key)
    print(json.dumps({"inputs": sum(counts.values()), **sorted_counts(counts)}))
    sys.exit(1 if failed else 0)


def sorted_counts(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items()))


def write_inputs(folder: Path) -> tuple[Path, list[Path]]:
    """Prepare a phantom; returns its cohort and its lungs in every format."""
    sample = write_sample(folder / "sample", scans=1, spacing_mm=(6.0, 4.0, 4.0))
    series = next((sample / "scans" / "dicom").iterdir())
    prepare(series, folder / "cohort", PrepareConfig(spacing_mm=4.0, workers=0))
    (item,) = Cohort(folder / "cohort").sources().values()
    grid = read_scan(series).grid
    mask = next((sample / "labels" / "lungs").iterdir())
    labels, _ = read_label_map(mask, like=grid)
    stem, originals = Path(item.path).name, folder / "originals"
    originals.mkdir()
    write_nifti(originals / f"{stem}.nii", labels, grid)
    files = sorted(series.iterdir())
    write_dicom_seg(
        originals / f"{stem}.dcm", labels, grid, source_files=files, names=NAMES
    )
    write_segments(originals / f"{stem}.seg.nrrd", labels, grid)
    write_contours(originals / f"{stem}_seg.dcm", files[0], grid)
    return folder / "cohort", sorted(originals.iterdir())


def write_segments(path: Path, labels: Any, grid: Grid) -> None:
    image = SimpleITK.GetImageFromArray(labels)
    image.SetSpacing(grid.spacing_mm[::-1])
    image.SetOrigin(grid.affine[:3, 3].tolist())
    image.SetDirection(grid.directions[:, ::-1].ravel().tolist())
    for value, name in NAMES.items():
        facts = {"ID": f"s{value}", "Name": name, "LabelValue": value, "Layer": 0}
        for key, text in facts.items():
            image.SetMetaData(f"Segment{value - 1}_{key}", str(text))
    SimpleITK.WriteImage(image, str(path))


def write_contours(path: Path, source: Path, grid: Grid) -> None:
    """Write two regions of rings on every slice, one inside the other in part."""
    header = pydicom.dcmread(source, stop_before_pixels=True)
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID = "1.2.3"
    made.SOPClassUID, made.Modality = RTStructureSetStorage, "RTSTRUCT"
    made.PatientID = header.get("PatientID", "")
    made.StructureSetROISequence, made.ROIContourSequence = [], []
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    for number, name in NAMES.items():
        roi, drawn = Dataset(), Dataset()
        roi.ROINumber, roi.ROIName = number, name
        drawn.ReferencedROINumber, drawn.ContourSequence = number, []
        for k in range(grid.shape[0]):
            middle = (grid.shape[1] / 2, grid.shape[2] * number / 3)
            index = np.stack(
                [
                    np.full(40, k),
                    middle[0] + 8 * np.sin(angle),
                    middle[1] + 8 * np.cos(angle),
                ],
                axis=1,
            )
            contour = Dataset()
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.ContourData = [f"{x:.3f}" for x in grid.to_patient(index).ravel()]
            drawn.ContourSequence.append(contour)
        made.StructureSetROISequence.append(roi)
        made.ROIContourSequence.append(drawn)
    made.save_as(path, enforce_file_format=True)


def change(original: Path, changed: Path, chance: random.Random) -> None:
    """Write a file with some change, which may also leave it whole."""
    content = original.read_bytes()
    how: Callable[[bytes, random.Random], bytes] = change_bytes
    if chance.random() < 0.8:
        if original.suffix == ".dcm":
            how = chance.choice([change_dicom, change_dicom, change_digits])
        elif original.suffix == ".nrrd":
            how = change_lines
        else:
            how = change_start
    changed.write_bytes(how(content, chance))


def change_bytes(content: bytes, chance: random.Random) -> bytes:
    """Flip some bytes, or cut the end off."""
    found = bytearray(content)
    for _ in range(chance.randint(1, 8)):
        found[chance.randrange(len(found))] = chance.randrange(256)
    return bytes(found[: chance.choice([len(found), chance.randrange(len(found))])])


def change_digits(content: bytes, chance: random.Random) -> bytes:
    """Change characters of numbers that are written as text."""
    found = bytearray(content)
    places = [k for k, byte in enumerate(content) if byte in b"0123456789."]
    for place in chance.sample(places, min(len(places), chance.randint(1, 60))):
        found[place] = chance.choice(b"0123456789.,-eE ")
    return bytes(found)


def change_start(content: bytes, chance: random.Random) -> bytes:
    """Flip bytes of the 352 of a NIfTI header."""
    found = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        found[chance.randrange(352)] = chance.randrange(256)
    return bytes(found)


def change_lines(content: bytes, chance: random.Random) -> bytes:
    """Drop lines of an NRRD header, or change their numbers and names."""
    head, _, data = content.partition(b"\n\n")
    lines = head.split(b"\n")
    for _ in range(chance.randint(1, 3)):
        number = chance.randrange(1, len(lines))
        key, sep, _ = lines[number].partition(b":")
        value = chance.choice(VALUES).encode()
        lines[number] = chance.choice([b"#", key + sep + b" " + value, lines[-1]])
    return b"\n".join(lines) + b"\n\n" + data


def change_dicom(content: bytes, chance: random.Random) -> bytes:
    """Change, drop or double elements and items at any depth."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    out = io.BytesIO()
    try:
        for _ in range(chance.randint(1, 4)):
            holder = _somewhere(dataset, chance)
            elements = [e for e in holder if e.tag.group != 2]
            if elements:
                _change_element(holder, chance.choice(elements), chance)
        dataset.save_as(out, enforce_file_format=True)
    except Exception:  # noqa: BLE001 - what cannot be written is no input
        return change_bytes(content, chance)
    return out.getvalue()


def _somewhere(dataset: Any, chance: random.Random) -> Any:
    """Return a dataset or an item inside it."""
    holder = dataset
    while chance.random() < 0.7:
        nested = [e for e in holder if e.VR == "SQ" and e.value]
        if not nested:
            break
        holder = chance.choice(chance.choice(nested).value)
    return holder


def _change_element(holder: Any, element: Any, chance: random.Random) -> None:
    if chance.random() < 0.3:
        del holder[element.tag]
    elif element.VR == "SQ":
        items = list(element.value)
        doubled = [*items, *items[:1]]
        element.value = chance.choice([[], items[1:], doubled, items[::-1]])
    elif element.VR in ("OB", "OW", "OB or OW"):
        element.value = change_bytes(element.value, chance)
    elif element.VM > 1:
        values = list(element.value)
        values[chance.randrange(len(values))] = chance.choice(VALUES)
        element.value = chance.choice([values, values[:-1], [*values, values[0]]])
    else:
        numbers = {"US": 65535, "UL": 2**31, "SS": -1}
        element.value = numbers.get(element.VR, chance.choice(VALUES))


def give(cohort: Path, labels: Path) -> tuple[int, str]:
    """Give labels to the command; returns its exit status and what it said."""
    sys.argv = ["scanlearn", "finetune", str(cohort), "--task", "segmentation"]
    sys.argv += ["--labels", str(labels.parent), "--from", str(cohort / "no run")]
    said = io.StringIO()
    signal.alarm(SECONDS_EACH)
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            run_command()
        status = 0
    except SystemExit as end:
        status = int(end.code or 0)
    except TimeoutError:
        status = 124
    finally:
        signal.alarm(0)
    return status, said.getvalue()


def _outcome(status: int, said: str) -> str:
    if status not in (0, 2):
        return f"exit {status}"
    return "taken" if "no run" in said else "refused"


def _too_long(_signal: int, _frame: Any) -> None:
    raise TimeoutError(f"longer than {SECONDS_EACH} seconds")


if __name__ == "__main__":
    main()
