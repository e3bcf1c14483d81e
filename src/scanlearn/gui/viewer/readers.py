"""Drag and drop: DICOM folders, OME-Zarr, NIfTI, NRRD, MHA and DICOM as layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from napari.utils.notifications import show_warning

from scanlearn.gui.viewer.file_layers import is_mask, read_entry, read_mask
from scanlearn.gui.viewer.layers import LayerData
from scanlearn.scans.files.ngff import is_ome_image
from scanlearn.scans.find import kind_of
from scanlearn.scans.formats import format_of

#: More scans than this are listed in the Scans dock instead of being read at once.
MOST_AT_ONCE = 4

Reader = Callable[[str | Sequence[str]], list[LayerData]]


def get_reader(path: str | Sequence[str]) -> Reader | None:
    """Return the reader if it can open the path, as npe2 asks for it."""
    paths = [path] if isinstance(path, str) else list(path)
    return read_paths if all(map(_is_ours, paths)) else None


def read_paths(path: str | Sequence[str]) -> list[LayerData]:
    """Read scans and masks as layers; a folder of many scans gives the first few."""
    paths = [path] if isinstance(path, str) else list(path)
    layers = [layer for each in paths for layer in _read(Path(each))]
    show_letters()
    return layers


def show_letters() -> None:
    """Show the patient letters in the viewer that layers are read for."""
    import napari

    from scanlearn.gui.viewer.orientation import show_orientation

    viewer = napari.current_viewer()
    if viewer is not None:
        show_orientation(viewer)


def _is_ours(path: str) -> bool:
    folder = Path(path)
    if is_ome_image(folder) or _is_offered(folder):
        return True
    return folder.is_dir() and any(map(_is_in_sight, _first_files(folder)))


def _first_files(folder: Path) -> list[Path]:
    files = []
    for file in folder.rglob("*"):
        if file.is_file() and not file.name.startswith("."):
            files.append(file)
        if len(files) == 8:
            break
    return files


def _is_in_sight(file: Path) -> bool:
    return _is_offered(file) or kind_of(file) == "dicom"


def _is_offered(path: Path) -> bool:
    known = format_of(path)
    return known is not None and known.in_napari


def _read(path: Path) -> list[LayerData]:
    from scanlearn.errors import BadScan
    from scanlearn.scans.find import find_scans

    if is_mask(path):
        return [read_mask(path)]
    entries = find_scans(path)
    good = [entry for entry in entries if not entry.error]
    if not good:
        raise BadScan(entries[0].error, next_step="Choose another file")
    if len(good) > MOST_AT_ONCE:
        show_warning(
            f"{path.name} holds {len(good)} scans; {MOST_AT_ONCE} were opened. "
            "Open the folder in the Scans dock to choose among all of them."
        )
    return [read_entry(entry) for entry in good[:MOST_AT_ONCE]]
