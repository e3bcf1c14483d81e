"""A small sample and a cohort of it, made once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.phantom.sample import write_sample

#: Coarse enough to be made in a second, fine enough for the lungs to be found.
SPACING_MM = (6.0, 4.0, 4.0)
CONFIG = PrepareConfig(spacing_mm=4.0, workers=0)


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with two DICOM series, two NIfTI files and their truth."""
    folder = tmp_path_factory.mktemp("sample") / "sample"
    return write_sample(folder, scans=4, seed=0, spacing_mm=SPACING_MM)


@pytest.fixture(scope="session")
def prepared(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cohort of the sample; not to be changed."""
    base = tmp_path_factory.mktemp("prepared")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCANLEARN_HOME", str(base / "home"))
        prepare(sample / "scans", base / "cohort", CONFIG)
    return base / "cohort"


@pytest.fixture
def cohort(prepared: Path, tmp_path: Path) -> Cohort:
    """Return a copy of the cohort, free to be changed."""
    return Cohort(shutil.copytree(prepared, tmp_path / "cohort"))
