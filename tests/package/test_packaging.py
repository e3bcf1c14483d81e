"""What a user installs holds what the checkout holds."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from npe2 import PluginManifest

REPOSITORY = Path(__file__).resolve().parents[2]
MANIFEST = (REPOSITORY / "napari.yaml").read_text(encoding="utf-8")


def _build(source: Path, out: Path, *kinds: str) -> None:
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out)]
    done = subprocess.run(
        [*command, *kinds, str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build sdist and wheel from a copy, so that the checkout stays clean."""
    base = tmp_path_factory.mktemp("package")
    leave = shutil.ignore_patterns(".venv", ".git", ".*_cache", "demo", "dist")
    shutil.copytree(REPOSITORY, base / "source", symlinks=True, ignore=leave)
    _build(base / "source", base / "dist", "--sdist", "--wheel")
    return base


def test_the_wheel_holds_the_manifest_and_the_types(built):
    (wheel,) = (built / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert archive.read("scanlearn/napari.yaml").decode() == MANIFEST
        (entry,) = (name for name in names if name.endswith("entry_points.txt"))
        text = archive.read(entry).decode()
    assert "scanlearn/py.typed" in names
    assert not any(name.startswith("tests") for name in names)
    assert "napari-scanlearn = scanlearn:napari.yaml" in text
    assert "scanlearn = scanlearn.cli:main" in text


def test_a_wheel_from_the_sdist_is_the_same(built):
    (sdist,) = (built / "dist").glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(built / "unpacked", filter="data")
    (folder,) = (built / "unpacked").iterdir()
    _build(folder, built / "again", "--wheel")
    contents = []
    for place in ("dist", "again"):
        (wheel,) = (built / place).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            contents.append({n: archive.read(n) for n in archive.namelist()})
    assert contents[0] == contents[1]


def test_the_installed_plugin_is_found_and_its_commands_exist():
    manifest = PluginManifest.from_distribution("napari-scanlearn")
    manifest.validate_imports()


def test_the_manifest_in_the_package_is_the_one_at_the_top():
    inside = REPOSITORY / "src" / "scanlearn" / "napari.yaml"
    assert inside.read_text(encoding="utf-8") == MANIFEST


def test_no_dependency_brings_torchvision_or_a_copyleft_codec():
    text = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    listed = text.split("dependencies = [")[1].split("]")[0]
    names = [line.strip().strip('",').lower() for line in listed.splitlines()]
    banned = ("torchvision", "pylibjpeg", "scikit-survival", "lightning")
    assert not any(name.startswith(banned) for name in names)
