from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from npe2 import PluginManifest

from scanlearn.scans.formats import patterns

ROOT = Path(__file__).parents[2]


def test_the_manifest_in_the_package_is_the_one_at_the_top() -> None:
    inside = ROOT / "src" / "scanlearn" / "napari.yaml"
    assert inside.read_text() == (ROOT / "napari.yaml").read_text()


def test_napari_gives_our_reader_the_formats_of_the_table() -> None:
    manifest = PluginManifest.from_file(ROOT / "napari.yaml")
    (reader,) = manifest.contributions.readers or []
    assert reader.filename_patterns == patterns(lambda known: known.in_napari)


def test_dialogs_offer_the_formats_of_the_table() -> None:
    from scanlearn.gui.kit.widgets import SCAN_FILES

    shown = SCAN_FILES.split("(")[1].split(")")[0].split()
    assert shown == patterns(lambda known: known.in_dialogs)
    assert {"*.nhdr", "*.jpeg", "*.tiff", "*.npy", "*.ima", "*.dicom"} <= set(shown)


def test_every_contribution_can_be_imported() -> None:
    manifest = PluginManifest.from_distribution("napari-scanlearn")
    manifest.validate_imports()
    assert manifest.name == "napari-scanlearn"
    assert [w.display_name for w in manifest.contributions.widgets or []] == [
        "Workbench",
        "Scans",
        "Pre-train",
        "Fine-tune",
        "Predict",
        "Runs",
    ]


def test_docks_open_without_torch() -> None:
    code = (
        "import scanlearn.gui.workbench, scanlearn.gui.viewer.readers;"
        "import scanlearn.gui.viewer.writers;"
        "import scanlearn.gui.show, scanlearn.gui.viewer.samples;"
        "import scanlearn.new_run, scanlearn.tasks.shared.label_maps, sys;"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
