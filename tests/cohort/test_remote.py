"""Cohorts at URLs: a real server in a process of its own, and only what is needed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import fsspec
import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort, write_record
from scanlearn.cohort.remote import cache_folder
from scanlearn.cohort.working import WorkingCohorts
from scanlearn.errors import BadCohort

Requests = Callable[[], list[str]]


@pytest.fixture
def served(cohort: Cohort, serve) -> tuple[str, Requests]:
    """Serve the cohort; returns its URL and a function that lists what was asked."""
    return serve(cohort.path)


def test_only_what_is_needed_is_fetched_and_only_once(
    served: tuple[str, Requests], cohort: Cohort
) -> None:
    url, requests = served
    remote = Cohort(url)
    assert remote.fingerprint() == cohort.fingerprint()
    assert not [
        path for path in requests() if not path.endswith((".json", "e.csv", ".yaml"))
    ]

    first, second = cohort.keys()[:2]
    box = remote.read_box(first, (-2, 3, 4), (9, 9, 9))
    np.testing.assert_array_equal(box, cohort.read_box(first, (-2, 3, 4), (9, 9, 9)))
    remote.read_box(first, (0, 0, 0), (5, 5, 5))
    mask, grid = remote.lungs(second)
    np.testing.assert_array_equal(mask, cohort.lungs(second)[0])
    assert grid.matches(cohort.lungs(second)[1])

    # Another process, such as a training, goes on with the folder and what is in it.
    again = WorkingCohorts([remote.path], None)
    again.read(0, (0, 0, 0), (8, 8, 8))
    asked = requests()
    big = [path for path in asked if path.endswith((".npy", ".npz"))]
    assert set(big) == {f"/scans/{first}.npy", f"/scans/{second}_lungs.npz"}
    assert len([p for p in big if p.endswith(".npy")]) <= 2  # a HEAD and a GET
    assert not any("private" in path for path in asked)
    assert remote.sources() == {}
    assert remote.path.is_relative_to(cache_folder())
    with pytest.raises(BadCohort, match="only be read"):
        remote.exclude(first, "test")


def test_changes_at_the_url_are_seen_when_it_is_opened_again(
    served: tuple[str, Requests], cohort: Cohort
) -> None:
    url, requests = served
    first, second, third = cohort.keys()[:3]
    remote = Cohort(url)
    for key in (first, second):
        remote.voxels(key)
    changed = np.array(cohort.voxels(first))
    changed[0, 0, 0] += 1
    np.save(cohort.layout.voxels(first, ".npy"), changed)
    write_record(
        cohort.layout, cohort.record(first).model_copy(update={"source_hash": "new"})
    )
    cohort.layout.record(third).unlink()
    cohort = Cohort(cohort.path)
    cohort.write_table()

    remote = Cohort(url)
    assert remote.keys() == cohort.keys()
    np.testing.assert_array_equal(remote.voxels(first), changed)
    remote.voxels(second)
    gets = [path for path in requests() if path == f"/scans/{second}.npy"]
    assert len(gets) <= 2
    assert not remote.layout.record(third).exists()


def test_files_and_memory_are_urls_too(cohort: Cohort) -> None:
    key = cohort.keys()[0]
    local = Cohort(cohort.path.as_uri())
    np.testing.assert_array_equal(local.voxels(key), cohort.voxels(key))
    assert local.path != cohort.path
    assert not (local.path / "private").exists()

    memory = fsspec.filesystem("memory")
    memory.put(str(cohort.path) + "/", "/chest/", recursive=True)
    there = Cohort("memory://chest")
    np.testing.assert_array_equal(there.voxels(key), cohort.voxels(key))


def test_what_cannot_be_had_is_told(
    served: tuple[str, Requests], cohort: Cohort, tmp_path: Path
) -> None:
    url, _ = served
    for wrong, said in (
        (f"{url}/elsewhere", "has no cohort.yaml"),
        ("http://127.0.0.1:9/cohort", "cannot be reached"),
        ((tmp_path / "nothing").as_uri(), "has no cohort.yaml"),
        ("nosuch://cohort", "cannot be opened"),
    ):
        with pytest.raises(BadCohort, match=said) as problem:
            Cohort(wrong)
        assert wrong in str(problem.value)
        assert problem.value.next_step
    assert not list(cache_folder().glob("*"))

    remote = Cohort(url)
    key = cohort.keys()[0]
    cohort.layout.voxels(key, ".npy").unlink()
    with pytest.raises(BadCohort, match=rf"has no scans/{key}\.npy"):
        remote.voxels(key)
    assert not remote.layout.voxels(key, ".npy").exists()


def test_a_catalogue_cannot_name_files_elsewhere(
    cohort: Cohort, tmp_path: Path
) -> None:
    hostile = shutil.copytree(cohort.path, tmp_path / "hostile")
    table = hostile / "catalogue.csv"
    table.write_text("scan,patient\n../../outside,P-1\n")
    with pytest.raises(BadCohort, match="outside"):
        Cohort(hostile.as_uri())
