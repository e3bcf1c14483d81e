"""What every test may lean on."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from scanlearn.anatomy.frames import frame_of_field
from scanlearn.cli import main
from scanlearn.cohort.catalogue import write_record
from scanlearn.cohort.layout import Layout, Settings, write_settings
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.cohort.record import Intensity, ScanRecord, matrix_of
from scanlearn.cohort.store import NpyStore
from scanlearn.config.prepare import PrepareConfig
from scanlearn.phantom.sample import write_sample
from scanlearn.scans.geometry import Grid

# How long an example takes says more of the machine than of the code.
hypothesis.settings.register_profile(
    "shared machine",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("shared machine")

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a settings folder with the same salt in every run of the tests.

    Thus keys, and with them the order of scans and who is held out, are the same.
    """
    folder = tmp_path_factory.mktemp("home")
    (folder / "salt").write_text("5c" * 32)
    return folder


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch) -> None:
    """Keep the user's own settings and salt out of the tests."""
    monkeypatch.setenv("SCANLEARN_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="session")
def example() -> Path:
    """Return the project of docs/adding.md: a task and a method of another package."""
    return REPOSITORY / "docs" / "examples"


@pytest.fixture(scope="session")
def distribute() -> Callable[[Path, Path], None]:
    """Return a function that puts a project into a folder as an installer would."""

    def put(project: Path, site: Path) -> None:
        text = (project / "pyproject.toml").read_text("utf-8")
        about = tomllib.loads(text)["project"]
        name, version = about["name"].replace("-", "_"), about["version"]
        info = site / f"{name}-{version}.dist-info"
        info.mkdir(parents=True)
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        (info / "METADATA").write_text(metadata)
        lines = []
        for group, points in about["entry-points"].items():
            lines += [f"[{group}]", *(f"{k} = {v}" for k, v in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for file in project.glob("*/__init__.py"):
            shutil.copytree(file.parent, site / file.parent.name)

    return put


@pytest.fixture
def install(
    distribute: Callable[[Path, Path], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[Path], None]]:
    """Return a function that installs a project for one test and its sub-processes."""
    from scanlearn import plugins
    from scanlearn.gui.tasks.registry import dock_task
    from scanlearn.pretraining.registry import all_methods
    from scanlearn.tasks.registry import all_tasks

    def forget() -> None:
        for found in (plugins.load_all, all_tasks, all_methods, dock_task):
            found.cache_clear()

    def put(project: Path) -> None:
        site = tmp_path / "site"
        distribute(project, site)
        monkeypatch.syspath_prepend(site)
        others = os.environ.get("PYTHONPATH", "")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(site), others]))
        forget()

    yield put
    forget()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Return the folder of real scans, or skip: they are not part of the project."""
    default = REPOSITORY.parent / "shared" / "data"
    folder = Path(os.environ.get("SCANLEARN_TEST_DATA", default))
    if not (folder / "chest_ct").is_dir():
        pytest.skip(f"no real scans in {folder}; set SCANLEARN_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def file_rights() -> tuple[str, ...]:
    """Return what to put before a command so that file rights count for root, too."""
    if os.geteuid() != 0:
        return ()
    drop = "-dac_override,-dac_read_search"
    wrap = ("setpriv", f"--bounding-set={drop}", f"--inh-caps={drop}")
    try:
        subprocess.run([*wrap, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("root without setpriv passes over file rights")
    return wrap


@pytest.fixture(scope="session")
def tiny_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a sample folder: four coarse phantoms (6 x 4 x 4 mm) and their truth."""
    folder = tmp_path_factory.mktemp("tiny") / "sample"
    return write_sample(folder, scans=4, seed=0, spacing_mm=(6.0, 4.0, 4.0))


@pytest.fixture(scope="session")
def tiny_cohort(
    tiny_sample: Path, home: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return a 4 mm cohort of four patients; not to be changed, copy it first."""
    base = tmp_path_factory.mktemp("tiny_cohort")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCANLEARN_HOME", str(home))
        prepare(
            tiny_sample / "scans",
            base / "cohort",
            PrepareConfig(spacing_mm=4.0, workers=0),
        )
    return base / "cohort"


@pytest.fixture(scope="session")
def films(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return eight pictures (120 x 96) with a bright rectangle, one with none.

    ``scans/film0.png``…, ``boxes.csv`` and their ``cohort``, prepared at 64 pixels; not
    to be changed.
    """
    from PIL import Image

    base, rng = tmp_path_factory.mktemp("films"), np.random.default_rng(4)
    (base / "scans").mkdir()
    rows = ["path,x,y,width,height"]
    for number in range(8):
        pixels = rng.normal(90, 12, (120, 96)) + np.linspace(0, 40, 96)
        path = f"scans/film{number}.png"
        width, height = (int(n) for n in rng.integers(18, 30, 2))
        x, y = int(rng.integers(4, 60)), int(rng.integers(4, 80))
        if number == 7:
            rows.append(f"{path},,,,")
        else:
            pixels[y : y + height, x : x + width] += 90
            # From edge to edge; the middles of pixels are whole numbers.
            rows.append(f"{path},{x - 0.5},{y - 0.5},{width},{height}")
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(base / path)
    (base / "boxes.csv").write_text("\n".join(rows) + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCANLEARN_HOME", str(home))
        config = PrepareConfig(radiograph_size=64, workers=0)
        prepare(base / "scans", base / "cohort", config)
    return base


@pytest.fixture(scope="session")
def mixed_cohorts(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return cohorts of CT volumes, MR volumes and radiographs, made of waves.

    Six volumes of 9 to 14 slices, five of 5 to 9, and twelve images; not to be changed.
    """
    base, rng = tmp_path_factory.mktemp("mixed"), np.random.default_rng(0)
    hu = Intensity(units="HU", outside=-1024, percentiles=(-1000, -500, 100))
    z = Intensity(units="zscore", outside=-3, percentiles=(-2, 0, 2))
    unit = Intensity(units="unit", outside=0, percentiles=(0, 0.5, 1))
    return [
        _write_waves(base / name, modality, intensity, shapes, rng)
        for name, modality, intensity, shapes in (
            ("chest", "CT", hu, [(9 + n, 26, 22) for n in range(6)]),
            ("heads", "MR", z, [(5 + n, 18, 24) for n in range(5)]),
            ("films", "DX", unit, [(1, 40, 36)] * 12),
        )
    ]


def _write_waves(
    folder: Path,
    modality: str,
    intensity: Intensity,
    shapes: list[tuple[int, int, int]],
    rng: np.random.Generator,
) -> Path:
    layout = Layout(folder)
    layout.scans.mkdir(parents=True)
    write_settings(layout, Settings(PrepareConfig(spacing_mm=4.0)))
    low, _, high = intensity.percentiles
    for number, shape in enumerate(shapes):
        affine = np.zeros((4, 4))
        affine[[2, 1, 0], [0, 1, 2]] = 4.0
        affine[3, 3] = 1
        grid = Grid(shape, affine)
        z, y, x = np.indices(shape) / 10
        rate, phase = rng.uniform(1, 4), rng.uniform(0, 6)
        wave = np.sin(rate * x + phase + z) * np.cos(rate * y - z)
        noisy = np.clip(wave + rng.normal(0, 0.1, shape), -1, 1)
        voxels = low + (high - low) * (noisy + 1) / 2
        kind = np.int16 if intensity.units == "HU" else np.float32
        patient = f"P-{modality.lower()}{number:04x}"
        key = f"{patient}-abcdef"
        about: dict[str, Any] = {
            name: f"{key}-{name}"
            for name in ("source_hash", "source_stamp", "voxel_hash")
        }
        record = ScanRecord(
            key=key,
            patient=patient,
            modality=modality,
            store="npy",
            dtype=np.dtype(kind).name,
            shape=shape,
            spacing_mm=grid.spacing_mm,
            affine=matrix_of(grid),
            intensity=intensity,
            source_shape=shape,
            source_affine=matrix_of(grid),
            frame=frame_of_field(grid),
            **about,
        )
        NpyStore().write(layout.voxels(key, ".npy"), voxels.astype(kind))
        write_record(layout, record)
    return folder


@pytest.fixture(scope="session")
def write_ct() -> Callable[..., Path]:
    """Return a function that writes a small chest CT made by hand as DICOM.

    ``write_ct(folder, patient, heights=..., tilt=..., lungs=..., noise=..., **tags)``:
    air, a body and two lungs, 4 mm pixels; one slice at each height (mm), shifted to
    the back by ``tilt`` mm for each mm of height. ``noise`` seeds the noise; by default
    each patient has its own.
    """
    return _write_ct


def _write_ct(
    folder: Path,
    patient: str,
    *,
    heights: np.ndarray | None = None,
    tilt: float = 0.0,
    lungs: bool = True,
    noise: str = "",
    **tags: object,
) -> Path:
    heights = np.arange(30) * 5.0 if heights is None else heights
    rng = np.random.default_rng(list((noise or patient).encode()))
    series = generate_uid()
    folder.mkdir(parents=True)
    for number, height in enumerate(heights):
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        stored = _chest_slice(height, lungs) + rng.normal(0, 8, (66, 66))
        stored = np.rint(stored + 1024).astype(np.int16)
        about = {
            "SOPClassUID": CTImageStorage,
            "SOPInstanceUID": meta.MediaStorageSOPInstanceUID,
            "SeriesInstanceUID": series,
            "PatientID": patient,
            "Modality": "CT",
            "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
            "BodyPartExamined": "CHEST",
            "ConvolutionKernel": "B40f",
            "ImagePositionPatient": [-130.0, -130.0 + tilt * height, float(height)],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "PixelSpacing": [4.0, 4.0],
            "SliceThickness": 5.0,
            "Rows": 66,
            "Columns": 66,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 16,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelRepresentation": 1,
            "RescaleSlope": 1,
            "RescaleIntercept": -1024,
            "RescaleType": "HU",
            "PixelData": stored.tobytes(),
        }
        for name, value in (about | tags).items():
            if value is not None:
                setattr(dataset, name, value)
        dataset["PixelData"].VR = "OW"
        dataset.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)
    return folder


def _chest_slice(height: float, lungs: bool) -> np.ndarray:
    """Return Hounsfield units of one slice, 4 mm pixels."""
    y, x = (np.mgrid[:66, :66] - 32.5) * 4.0
    hu = np.where((x / 122) ** 2 + (y / 84) ** 2 < 1, 40.0, -1000.0)
    if lungs and 10 < height < 135:
        for side in (-54, 54):
            hu[((x - side) / 40) ** 2 + (y / 58) ** 2 < 1] = -850
    return hu


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Path], tuple[str, Callable]]]:
    """Return a function that serves a folder from a process of its own.

    It gives the URL, and a function that lists the paths asked for so far.
    """
    servers = []

    def start(folder: Path) -> tuple[str, Callable[[], list[str]]]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        log = tmp_path / f"served-{port}.txt"
        command = [sys.executable, "-u", "-m", "http.server", str(port)]
        command += ["--bind", "127.0.0.1", "--directory", str(folder)]
        with log.open("w") as stream:
            server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=stream)
        servers.append(server)
        wait_for_port(port)
        return f"http://127.0.0.1:{port}", lambda: re.findall(
            r'"(?:GET|HEAD) (\S+) ', log.read_text()
        )

    yield start
    for server in servers:
        server.terminate()
        server.wait(timeout=20)


def wait_for_port(port: int) -> None:
    """Wait until something listens at a port of this machine."""
    for _ in range(300):
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"nothing listens at port {port}")


@pytest.fixture(autouse=True)
def _leave_no_accelerator():
    """Accelerate keeps device and precision for a whole process: end each test bare."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@pytest.fixture
def accelerator():
    """Return one on the CPU, whatever other tests left behind."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()
    yield Accelerator(cpu=True)
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    def told(self) -> str:
        """The one line that a wrong input gets."""
        assert self.status == 2, self.err
        assert self.out == ""
        lines = [line for line in self.err.splitlines() if line.startswith("scanlearn")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


@pytest.fixture
def scanlearn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """Return a function that runs a command as a terminal without colours does."""

    def run(*arguments: object) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["scanlearn", *map(str, arguments)])
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            patch.setenv("COLUMNS", "100")
            try:
                main()
                status = 0
            except SystemExit as ended:
                status = int(ended.code or 0)
        return Answer(status, out.getvalue(), err.getvalue())

    return run
