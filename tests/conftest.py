"""What every test may lean on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scanlearn.cohort.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.phantom.sample import write_sample

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch) -> None:
    """Keep the user's own settings and salt out of the tests."""
    monkeypatch.setenv("SCANLEARN_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real scans, or skip: they are not part of the project."""
    default = REPOSITORY.parent / "shared" / "data"
    folder = Path(os.environ.get("SCANLEARN_TEST_DATA", default))
    if not (folder / "chest_ct").is_dir():
        pytest.skip(f"no real scans in {folder}; set SCANLEARN_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def tiny_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sample folder: four coarse phantoms (6 x 4 x 4 mm) and their truth."""
    folder = tmp_path_factory.mktemp("tiny") / "sample"
    return write_sample(folder, scans=4, seed=0, spacing_mm=(6.0, 4.0, 4.0))


@pytest.fixture(scope="session")
def tiny_cohort(tiny_sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a 4 mm cohort of four patients; not to be changed, copy it first."""
    base = tmp_path_factory.mktemp("tiny_cohort")
    # The same salt, thus the same keys and the same order of scans, in every test run.
    (base / "home").mkdir()
    (base / "home" / "salt").write_text("5c" * 32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCANLEARN_HOME", str(base / "home"))
        prepare(
            tiny_sample / "scans",
            base / "cohort",
            PrepareConfig(spacing_mm=4.0, workers=0),
        )
    return base / "cohort"
