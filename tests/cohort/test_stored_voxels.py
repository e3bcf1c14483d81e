"""Files that open and lie are found by the hash that preparing kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.quality.stored_voxels import check_sample, stored_problems
from scanlearn.cohort.store import STORES, stored_hash
from scanlearn.errors import BadCohort


@pytest.fixture
def cohort(prepared: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(prepared, tmp_path / "cohort"))


def flip_a_bit(path: Path) -> None:
    """Change one bit in the middle of a file, as a failing disk does."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_whole_scans_pass(cohort: Path) -> None:
    opened = Cohort(cohort)
    assert all(record.stored_hash for record in opened.records())
    assert stored_problems(opened) == {}
    check_sample(opened, seed=0)


def test_one_bit_is_found(cohort: Path) -> None:
    key = Cohort(cohort).keys()[1]
    flip_a_bit(cohort / "scans" / f"{key}.npy")
    seen: list[tuple[int, int]] = []
    found = stored_problems(
        Cohort(cohort), progress=lambda done, total, _: seen.append((done, total))
    )
    assert list(found) == [key]
    assert found[key].severity == "error"
    assert f"{key}.json" in found[key].action
    assert seen[-1] == (len(Cohort(cohort)), len(Cohort(cohort)))
    # Four scans are fewer than the sample.
    with pytest.raises(BadCohort, match=f"{key}.*scanlearn check"):
        check_sample(Cohort(cohort), seed=0)


def test_a_file_that_breaks_off_is_one_remark(cohort: Path) -> None:
    key = Cohort(cohort).keys()[0]
    path = cohort / "scans" / f"{key}.npy"
    path.write_bytes(path.read_bytes()[:1000])
    assert list(stored_problems(Cohort(cohort))) == [key]


def test_scans_without_a_hash_are_taken_as_they_are(cohort: Path) -> None:
    key = Cohort(cohort).keys()[0]
    sidecar = cohort / "scans" / f"{key}.json"
    record = json.loads(sidecar.read_text())
    del record["stored_hash"]
    sidecar.write_text(json.dumps(record))
    flip_a_bit(cohort / "scans" / f"{key}.npy")
    assert stored_problems(Cohort(cohort)) == {}
    check_sample(Cohort(cohort), seed=0)


@pytest.mark.parametrize("store", ["npy", "blosc2"])
def test_a_hash_is_alike_in_every_store(tmp_path: Path, store: str) -> None:
    if store == "blosc2":
        pytest.importorskip("blosc2")
    voxels = np.random.default_rng(0).integers(-9, 9, (70, 20, 30)).astype(np.int16)
    path = tmp_path / f"a{STORES[store].suffix}"
    STORES[store].write(path, voxels)
    assert stored_hash(STORES[store].open(path)) == stored_hash(voxels)
    assert stored_hash(voxels) != stored_hash(voxels.reshape(20, 70, 30))
    assert stored_hash(voxels) != stored_hash(voxels.astype(np.uint16))


def test_the_command_reads_a_cohort_whole(scanlearn, cohort: Path) -> None:
    key = Cohort(cohort).keys()[2]
    flip_a_bit(cohort / "scans" / f"{key}.npy")
    rows = scanlearn("check", cohort, "--json").document
    (bad,) = [row for row in rows if row["severity"] == "error"]
    assert bad["scan"] == key
    assert bad["problems"][0]["code"] == "stored"
