"""Mutate headers of images, pictures and tables: commands must exit with 0 or 2 alone.

``python benchmarks/fuzz_files.py --minutes 10 --seed 0``. Every input is made here from
random voxels, damaged at random and given to the command line in a process of its own,
which may not take more than a few gigabytes. An input that ends otherwise is kept, with
its seed.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import os
import random
import resource
import shutil
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK
from PIL import Image

from scanlearn.cli import main

_MEMORY = 6 << 30
_SECONDS = 60
_VOXELS = np.random.default_rng(0).integers(-900, 900, (6, 7, 8)).astype(np.int16)
_SHAPES = ("<h", "<i", "<f", "<B", "<q", "<d")
_WORDS = (
    *("0", "-1", "nan", "inf", "1e309", "1,5", "1.234", "99999999999", "none", ""),
    *(
        "\\\\server\\x",
        "C:\\a.nii",
        "a.nii",
        "\u00e4",
        "\x00",
        "(1,0,0)",
        ";",
        "\t",
    ),
)


def nifti(folder: Path, chance: random.Random) -> Path:
    """Write NIfTI whose header fields are overwritten, packed or not."""
    path = folder / "a.nii"
    nib.save(nib.Nifti1Image(_VOXELS, np.diag([1.5, 2, 3, 1])), path)
    raw = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 4)):
        kind = chance.choice(_SHAPES)
        field = struct.pack(kind, _value(kind, chance))
        at = chance.randrange(0, 352 - len(field))
        raw[at : at + len(field)] = field
    path.write_bytes(raw)
    if chance.random() < 0.5:
        packed = folder / "a.nii.gz"
        packed.write_bytes(gzip.compress(bytes(raw)))
        path.unlink()
        return _damaged(packed, chance, 0.2)
    return path


def text_header(folder: Path, chance: random.Random) -> Path:
    """Write NRRD or MetaImage whose header words are exchanged."""
    path = folder / chance.choice(["a.nrrd", "a.mha"])
    SimpleITK.WriteImage(
        SimpleITK.GetImageFromArray(_VOXELS), str(path), chance.random() < 0.5
    )
    raw = path.read_bytes()
    end = raw.find(b"\n\n" if path.suffix == ".nrrd" else b"LOCAL\n")
    words = raw[:end].decode("latin-1").split(" ")
    for _ in range(chance.randint(1, 3)):
        words[chance.randrange(len(words))] = chance.choice(_WORDS)
    path.write_bytes(" ".join(words).encode("utf-8") + raw[end:])
    return _damaged(path, chance, 0.2)


def picture(folder: Path, chance: random.Random) -> Path:
    """Write a picture with a turn and flip some of its bytes."""
    path = folder / chance.choice(["a.png", "a.jpg", "a.tif"])
    exif = Image.Exif()
    exif[0x0112] = chance.randint(0, 9)
    pixels = np.repeat(np.repeat(_VOXELS[0].astype(np.uint8), 4, 0), 4, 1)
    Image.fromarray(pixels).save(path, exif=exif)
    return _damaged(path, chance, 0.9)


def array(folder: Path, chance: random.Random) -> Path:
    """Write an array and flip some bytes of its header."""
    np.save(folder / "a.npy", _VOXELS)
    return _damaged(folder / "a.npy", chance, 0.9)


def table(folder: Path, chance: random.Random) -> Path:
    """Write a table of scans with odd words, in odd encodings."""
    nib.save(nib.Nifti1Image(_VOXELS, np.diag([1.5, 2, 3, 1])), folder / "a.nii")
    np.save(folder / "b.npy", _VOXELS)
    rows = [["path", "patient", "spacing", "index", "split", "x", "y", "z"]]
    rows += [["a.nii", "p", "1", "", "train", "1", "2", "3"]]
    rows += [["b.npy", "q", "0,5", "0", "", "", "", ""]]
    for _ in range(chance.randint(0, 3)):
        row = chance.choice(rows)
        row[chance.randrange(len(row))] = chance.choice(_WORDS)
    sign = chance.choice(",;\t|")
    text = "\n".join(sign.join(row) for row in rows)
    path = folder / chance.choice(["t.csv", "t.tsv", "t.txt"])
    code = chance.choice(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
    path.write_bytes(text.encode(code))
    return _damaged(path, chance, 0.3)


def _value(kind: str, chance: random.Random) -> float:
    if kind in ("<f", "<d"):
        return chance.choice(
            [0.0, -1.0, 1e30, float("nan"), float("inf"), 1e-30, 352.0]
        )
    bits = struct.calcsize(kind) * 8
    low, high = (0, 255) if kind == "<B" else (-(1 << bits - 1), (1 << bits - 1) - 1)
    return chance.choice([0, 1, low, high, chance.randint(low, high)])


def _damaged(path: Path, chance: random.Random, likely: float) -> Path:
    if chance.random() > likely:
        return path
    raw = bytearray(path.read_bytes())
    for _ in range(chance.randint(1, 6)):
        if raw:
            raw[chance.randrange(min(len(raw), 600))] = chance.randrange(256)
    if chance.random() < 0.2:
        raw = raw[: chance.randrange(len(raw) + 1)]
    path.write_bytes(raw)
    return path


def command(path: Path, folder: Path, chance: random.Random) -> list[str]:
    """Return the arguments of a command on an input."""
    out = folder / "out"
    if path.suffix in (".csv", ".tsv", ".txt"):
        words = ["prepare", str(path), str(out), "--workers", "0", "--spacing", "4"]
        told = chance.choice(
            [[], ["--patient-from", chance.choice(["patient", "{patient}"])]]
        )
        return [*words, *told]
    return chance.choice(
        [
            ["info", str(path)],
            ["info", str(folder), "--json"],
            ["convert", str(path), str(out / "b.nii.gz")],
            ["check", str(folder), "--workers", "0"],
        ]
    )


def run(arguments: list[str], log: Path) -> int:
    """Return the exit code of a command in a process of its own; 255 on a traceback."""
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        file = os.open(log, os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.argv = ["scanlearn", *arguments]
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        sys.stdout.flush()
        os._exit(code)
    ends = time.monotonic() + _SECONDS
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return 255 if b"Traceback" in log.read_bytes() else code
        time.sleep(0.002)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return 254


def warm_up() -> None:
    """Load all that commands load, once: every process after it begins with that."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "in")
        folder.mkdir()
        path, out = folder / "a.nii.gz", Path(place, "out")
        nib.save(nib.Nifti1Image(_VOXELS, np.diag([1.5, 2, 3, 1])), path)
        (folder / "t.csv").write_text("path\na.nii.gz\n")
        for words in (
            ["info", str(folder)],
            ["convert", str(path), str(out / "b.nii.gz")],
            ["check", str(folder), "--workers", "0"],
            ["prepare", str(folder / "t.csv"), str(out / "c"), "--workers", "0"],
        ):
            sys.argv = ["scanlearn", *words]
            with contextlib.suppress(SystemExit):
                main()


def fuzz(minutes: float, seed: int, kept: Path) -> Counter[tuple[str, int]]:
    """Fuzz for some minutes; returns how often each kind ended with which code."""
    makers: tuple[Callable[[Path, random.Random], Path], ...]
    makers = (nifti, text_header, picture, array, table)
    ends = time.monotonic() + 60 * minutes
    codes: Counter[tuple[str, int]] = Counter()
    while time.monotonic() < ends:
        chance = random.Random(seed)
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place, "in")
            folder.mkdir()
            make = makers[seed % len(makers)]
            arguments = command(make(folder, chance), folder, chance)
            code = run(arguments, Path(place, "log"))
            codes[make.__name__, code] += 1
            if code not in (0, 2):
                shutil.copytree(place, kept / f"seed-{seed}", dirs_exist_ok=True)
                print(f"seed {seed}: exit {code}: {' '.join(arguments)}", flush=True)
        seed += 1
    return codes


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path("fuzz-findings"))
    given = parser.parse_args()
    warm_up()
    found = fuzz(given.minutes, given.seed, given.keep)
    for (kind, code), count in sorted(found.items()):
        print(f"{kind:12} exit {code}: {count}")
    sys.exit(any(code not in (0, 2) for _, code in found))
