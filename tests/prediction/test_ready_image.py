"""A radiograph in a file is made ready as the cohort's was."""

from __future__ import annotations

import numpy as np
import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadScan
from scanlearn.phantom.sample import write_sample
from scanlearn.prediction.ready_image import ready_image
from scanlearn.scans.files.array import array_entry
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    write_sample(folder / "sample", scans=2, kind="radiograph")
    config = PrepareConfig(radiograph_size=96, workers=0)
    prepare(folder / "sample" / "scans", folder / "cohort", config)
    return folder


def test_a_file_gives_what_its_cohort_stores(films) -> None:
    cohort = Cohort(films / "cohort")
    by_path = {source.path: key for key, source in cohort.sources().items()}
    entries = list(find_scans(films / "sample" / "scans"))
    assert {entry.kind for entry in entries} == {"dicom", "picture"}
    for entry in entries:
        key = by_path[str(entry.path)]
        found = ready_image(read_scan(entry), units="unit", size=96)
        np.testing.assert_array_equal(found.stored, cohort.voxels(key))
        assert found.grid.matches(cohort.grid(key))
        assert found.intensity.units == "unit"
        # A cohort's own image is ready as it is.
        again = ready_image(cohort.scan(key), units="unit", size=96)
        np.testing.assert_allclose(again.stored, found.stored, atol=0.02)


def test_volumes_and_other_units_are_refused(films, tmp_path) -> None:
    entry = next(iter(find_scans(films / "sample" / "scans")))
    with pytest.raises(BadScan, match="trained on HU"):
        ready_image(read_scan(entry), units="HU", size=96)
    np.save(tmp_path / "volume.npy", np.zeros((4, 5, 6), np.float32))
    volume = read_scan(
        array_entry(tmp_path / "volume.npy", volume=None, spacing_mm=None)
    )
    with pytest.raises(BadScan, match="trained on radiographs"):
        ready_image(volume, units="unit", size=96)
