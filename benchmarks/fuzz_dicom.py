"""Damage the headers of DICOM series for some minutes: every command ends with 0 or 2.

Small series (CT in two phases, radiographs, enhanced MR, compressed CT) are written,
some of their tags changed, removed or repeated, some bytes turned over or cut off, and
``info``, ``check`` and ``convert`` run on them through the command line's own entry
point. Prints one JSON document; exits with 1 where a command ended otherwise, whose
input is kept in ``--keep``.

Example: python benchmarks/fuzz_dicom.py --minutes 3 --seed 0
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from scanlearn.cli import main as command_line

SLICES, ROWS, COLUMNS = 5, 12, 14
CT, MR, DX, ENHANCED = (
    f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("2", "4", "1.1.1", "4.1")
)
#: Spellings of numbers, sound and odd.
NUMBERS = [
    *("0", "1", "-1", "0,5", "1.5", "1e3", "-1024", "nan", "inf", "1e300", "x", ""),
    *("1\\2", "0\\0\\0", "1,2,3", " 7 ", "1_0", "--1", "\\", "1\\0\\0\\0\\1\\0"),
    *("0.999\\0.03\\0\\-0.03\\0.999\\0", "2\\0\\0\\0\\2\\0", "99999999999999"),
]
TEXTS = ["", "CT", "MR", "DX", "OT", "SEG", "\\", "A\\B", "LOCALIZER", "\xff", "*"]
UIDS = ["", "1.2", "1.2.3.4", CT, MR, DX, ENHANCED, "1.2.840.10008.1.2.4.90", "x"]


def slice_of(position: float, number: int, **tags: object) -> Dataset:
    """Return one small image; ``tags`` are set, or with None removed."""
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.SOPClassUID, image.SOPInstanceUID = CT, f"1.2.9.{number}"
    image.StudyInstanceUID, image.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    image.PatientID, image.Modality, image.InstanceNumber = "A", "CT", number
    image.SeriesNumber, image.AcquisitionNumber = 1, 1
    image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    image.ImagePositionPatient = [-7.0, -6.0, position]
    image.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    image.PixelSpacing, image.SliceThickness = [1.5, 2.0], 2
    image.Rows, image.Columns, image.SamplesPerPixel = ROWS, COLUMNS, 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit = 16, 12, 11
    image.PixelRepresentation = 0
    image.RescaleSlope, image.RescaleIntercept = 1, -1024
    values = np.arange(ROWS * COLUMNS, dtype=np.uint16) * 20 + number
    image.PixelData = values.tobytes()
    for name, value in tags.items():
        setattr(image, name, value)
        if value is None:
            delattr(image, name)
    return image


def write_phases(folder: Path) -> None:
    for phase in range(2):
        for k in range(SLICES):
            number = phase * SLICES + k
            tags = {"AcquisitionNumber": phase, "EchoTime": 3.5 * phase}
            save(slice_of(2.0 * k, number, **tags), folder / f"{number}.dcm")


def write_radiographs(folder: Path) -> None:
    bare = {"ImagePositionPatient": None, "ImageOrientationPatient": None}
    table = Dataset()
    table.add_new("LUTDescriptor", "US", [4096, 0, 16])
    table.add_new("LUTData", "OW", np.arange(4096, dtype=np.uint16).tobytes())
    for k in range(3):
        tags = {"SOPClassUID": DX, "Modality": "DX", "PresentationLUTShape": "INVERSE"}
        image = slice_of(0, k, **bare, **tags)
        if k:
            del image.RescaleSlope, image.RescaleIntercept
            image.ModalityLUTSequence = Sequence([table])
        save(image, folder / f"{k}.dcm")


def write_compressed(folder: Path) -> None:
    for k in range(SLICES):
        image = slice_of(2.0 * k, k)
        image.compress(RLELossless, encoding_plugin="pydicom")
        save(image, folder / f"{k}.dcm")


def write_enhanced(folder: Path) -> None:
    gone = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
    tags = {"SOPClassUID": ENHANCED, "Modality": "MR"}
    image = slice_of(0, 1, **tags, **dict.fromkeys(gone))
    image.NumberOfFrames = 2 * SLICES
    image.PixelData = image.PixelData * (2 * SLICES)
    shared = group(
        PixelMeasuresSequence=group(PixelSpacing=[1.5, 2.0], SliceThickness=2),
        PlaneOrientationSequence=group(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
    )
    frames = [
        group(
            PlanePositionSequence=group(ImagePositionPatient=[0, 0, 2.0 * k]),
            MRDiffusionSequence=group(DiffusionBValue=1000.0 * volume),
            FrameContentSequence=group(DimensionIndexValues=[volume + 1, k + 1]),
        )[0]
        for volume in range(2)
        for k in range(SLICES)
    ]
    image.SharedFunctionalGroupsSequence = shared
    image.PerFrameFunctionalGroupsSequence = Sequence(frames)
    save(image, folder / "multi.dcm")


def group(**values: object) -> Sequence:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return Sequence([item])


def save(image: Dataset, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID
    image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    image.save_as(path, enforce_file_format=True)


KINDS: dict[str, Callable[[Path], None]] = {
    "phases": write_phases,
    "radiographs": write_radiographs,
    "compressed": write_compressed,
    "enhanced": write_enhanced,
}


def change_tags(path: Path, chance: random.Random) -> None:
    """Give some tags of a file, or of its functional groups, other values."""
    image = pydicom.dcmread(path, force=True)
    places = [image]
    places += [
        item
        for element in image.iterall()
        if element.VR == "SQ"
        for item in element.value or []
    ]
    for _ in range(chance.choice([1, 1, 2, 3])):
        place = chance.choice(places[:1] + places)
        elements = [e for e in place if e.tag != 0x7FE00010]
        if elements:
            change(place, chance.choice(elements), chance)
    image.save_as(path, enforce_file_format=False)


def change(place: Dataset, element: pydicom.DataElement, chance: random.Random) -> None:
    if chance.random() < 0.25:
        del place[element.tag]
        return
    if element.VR in ("US", "SS", "UL"):
        element.value = chance.choice([0, 1, 2, 7, 8, 12, 16, 17, 32, 255, 4096, 65535])
        if element.VR == "SS":
            element.value = min(int(element.value), 32767)
    elif element.VR in ("FD", "FL"):
        element.value = chance.choice([0.0, -1.0, 1e300, float("nan"), 1000.0])
    elif element.VR == "UI":
        element.value = chance.choice(UIDS)
    elif element.VR == "SQ":
        element.value = Sequence(list(element.value) * chance.choice([0, 2]))
    elif element.VR in ("DS", "IS"):
        # Written as plain text, which a reader takes for the number it should be.
        place[element.tag] = pydicom.DataElement(
            element.tag, "LO", chance.choice(NUMBERS)
        )
    elif element.VR not in ("OW", "OB"):
        element.value = chance.choice(TEXTS)


def change_bytes(path: Path, chance: random.Random) -> None:
    """Cut a file short, or turn some of its bits over."""
    whole = bytearray(path.read_bytes())
    if chance.random() < 0.2:
        path.write_bytes(whole[: chance.randrange(len(whole))])
        return
    for _ in range(chance.choice([1, 2, 4, 8])):
        whole[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
    path.write_bytes(whole)


def damage(folder: Path, chance: random.Random) -> None:
    """Change one, some or all files of a folder."""
    paths = sorted(folder.iterdir())
    kind = chance.choice([change_tags, change_tags, change_tags, change_bytes])
    seed = chance.randrange(1 << 32)
    count = chance.choice([1, len(paths) // 2 + 1, len(paths)])
    for path in chance.sample(paths, count):
        # The same change in all, or one of its own in each.
        own = random.Random(seed) if chance.random() < 0.5 else chance
        # pydicom itself may refuse to write a change.
        with contextlib.suppress(Exception):
            kind(path, own)


def run(arguments: list[str]) -> tuple[int, str]:
    """Run a command in this process; return its exit status and what went wrong."""
    caught = io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["scanlearn", *arguments]),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(caught),
    ):
        try:
            command_line()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
            return code, caught.getvalue()
        except BaseException:  # noqa: BLE001 - what no command should let through
            return -1, traceback.format_exc()
    return 0, ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="Where inputs that fail are copied.")
    options = parser.parse_args()
    chance = random.Random(options.seed)
    ends: Counter[str] = Counter()
    failed: list[dict[str, object]] = []
    slowest = 0.0
    until = time.monotonic() + 60 * options.minutes
    while time.monotonic() < until:
        with tempfile.TemporaryDirectory() as work:
            folder = Path(work, "scans")
            kind = chance.choice(list(KINDS))
            KINDS[kind](folder)
            damage(folder, chance)
            out = str(Path(work, "out.nii.gz"))
            for command in (
                ["info", str(folder), "--json"],
                ["check", str(folder), "--workers", "0", "--json"],
                ["convert", str(folder), out, "--uneven", "resample"],
                ["convert", str(folder), out, "--series", "1.2.3.4#2"],
            ):
                start = time.monotonic()
                code, text = run(command)
                slowest = max(slowest, time.monotonic() - start)
                ends[f"{command[0]} {code}"] += 1
                if code not in (0, 2):
                    failed.append({"kind": kind, "command": command[0], "text": text})
                    if options.keep is not None:
                        kept = options.keep / f"{len(failed):03d}"
                        shutil.copytree(folder, kept, dirs_exist_ok=True)
    report = {
        "seed": options.seed,
        "ends": dict(sorted(ends.items())),
        "slowest_seconds": round(slowest, 2),
        "failed": failed[:20],
    }
    print(json.dumps(report, indent=2))
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
