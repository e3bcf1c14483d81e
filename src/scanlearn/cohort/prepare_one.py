"""One scan on its way into a cohort: read, turned, resampled, normalised, written."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlearn.anatomy.frames import Frame, frame_of
from scanlearn.anatomy.lungs import LungMask, lung_mask
from scanlearn.anatomy.morphology import bounding_box
from scanlearn.cohort.catalogue import write_record
from scanlearn.cohort.check_rules import own_problems
from scanlearn.cohort.fit import default_atlas, default_placement, remarks
from scanlearn.cohort.intensity import Units, normalised
from scanlearn.cohort.kept_placements import keep_placement
from scanlearn.cohort.keys import read_salt
from scanlearn.cohort.lung_masks import given_lungs
from scanlearn.cohort.plan import Job
from scanlearn.cohort.previews import write_preview
from scanlearn.cohort.privacy import scrubbed, scrubbed_problems, secrets_of
from scanlearn.cohort.provenance import source_hash, voxel_hash
from scanlearn.cohort.record import ScanRecord, matrix_of
from scanlearn.cohort.spacing import UNTOLD, Spacing
from scanlearn.cohort.store import STORES
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadScan
from scanlearn.files import written_beside
from scanlearn.scans.geometry import Grid, canonical_grid, to_canonical_axes
from scanlearn.scans.label_arrays import looks_like_labels
from scanlearn.scans.read import read_scan
from scanlearn.scans.resample import resample
from scanlearn.scans.scan import Problem, Scan

_CT_SPACING: Spacing = (1.0, 1.0, 1.0)

#: From this ratio of spacings on, sampling without a blur would alias; below it, cubic
#: B-splines alone keep the noise texture of the scan.
_COARSER = 1.5

_MOST_VOXELS = 2**31


class NoScan(BadScan):
    """A readable file that is no scan but something that belongs to one."""


@dataclass(frozen=True, eq=False)
class ReadyScan:
    """A scan turned, resampled and cropped, its intensities still those of the source.

    Parameters
    ----------
    voxels, grid
        On the canonical grid; a radiograph keeps its orientation.
    lungs
        Lung mask of a CT.
    frame
        What locations refer to.
    problems
        What reading, checking and masking found.
    """

    voxels: NDArray[np.generic]
    grid: Grid
    lungs: LungMask | None
    frame: Frame
    problems: tuple[Problem, ...]


def prepare_one(job: Job) -> ScanRecord:
    """Prepare one scan and write it; the sidecar comes last and makes it complete.

    Raises
    ------
    BadScan
        If the source cannot be read as a scan.
    """
    salt = read_salt(job.layout.private / "salt")
    digest = source_hash(job.entry.files, salt)
    previous = job.previous
    same = previous is not None and previous.source_hash == digest
    if previous is not None and same and job.same_lungs(salt):
        record = previous.model_copy(
            update={"source_stamp": job.stamp, "excluded": job.excluded}
        )
        write_record(job.layout, record)
        return record
    scan = read_scan(job.entry, on_uneven=job.config.on_uneven)
    if is_label_map(scan, job.entry.kind):
        raise NoScan(
            f"{job.entry.path.name} looks like a label map",
            next_step="Give it to 'scanlearn finetune --labels' instead.",
        )
    ready = ready_scan(
        scan, job.config, mr_spacing_mm=job.mr_spacing_mm, lung_mask_file=job.lung_mask
    )
    stored, intensity = normalised(ready.voxels, stored_units(scan))
    placement = default_placement(ready.lungs, ready.frame)
    store = STORES[job.config.store]
    secrets = secrets_of(job.entry)
    acquisition = scan.acquisition
    record = ScanRecord(
        key=job.key,
        patient=job.patient,
        modality=acquisition.modality,
        body_part=scrubbed(acquisition.body_part, secrets),
        kernel=scrubbed(acquisition.kernel, secrets),
        manufacturer=scrubbed(acquisition.manufacturer, secrets),
        contrast=bool(acquisition.contrast),
        slice_thickness_mm=acquisition.slice_thickness_mm,
        store=job.config.store,
        dtype=str(stored.dtype),
        shape=ready.grid.shape,
        spacing_mm=ready.grid.spacing_mm,
        affine=matrix_of(ready.grid),
        intensity=intensity,
        source_shape=scan.grid.shape,
        source_affine=matrix_of(scan.grid),
        source_hash=digest,
        source_stamp=job.stamp,
        voxel_hash=voxel_hash(scan.voxels, salt),
        frame=ready.frame,
        right_lung_ml=ready.lungs and ready.lungs.right_ml,
        left_lung_ml=ready.lungs and ready.lungs.left_ml,
        lungs_hash=source_hash([job.lung_mask], salt) if job.lung_mask else "",
        checks=scrubbed_problems((*ready.problems, *remarks(placement)), secrets),
        excluded=job.excluded,
    )
    # A changed source: the old sidecar must not vouch for the new voxels.
    job.layout.record(job.key).unlink(missing_ok=True)
    store.write(job.layout.voxels(job.key, store.suffix), stored)
    if ready.lungs is not None:
        _write_lungs(job, ready.lungs)
    shown = Scan(ready.voxels, ready.grid, acquisition)
    write_preview(job.layout.preview(job.key), shown, ready.lungs)
    if placement is not None:
        keep_placement(job.layout, record, default_atlas(), placement)
    write_record(job.layout, record)
    return record


def ready_scan(
    scan: Scan,
    config: PrepareConfig,
    *,
    mr_spacing_mm: Spacing | None = None,
    lung_mask_file: Path | None = None,
) -> ReadyScan:
    """Bring a scan onto the grid that trainings see.

    Parameters
    ----------
    scan
        As it was read.
    config
        Spacing and crop.
    mr_spacing_mm
        (S, P, L) spacing of scans that are not CT where the configuration names none;
        the scan's own by default.
    lung_mask_file
        A lung mask on the scan's grid, taken instead of a computed one.
    """
    if scan.is_radiograph:
        # A patch in Hounsfield units keeps its pixels: their texture is what counts.
        is_patch = scan.acquisition.units == "HU"
        size = max(scan.grid.shape) if is_patch else config.radiograph_size
        voxels, grid = _radiograph(scan, size)
        problems = (*scan.problems, *own_problems(scan))
        return ReadyScan(voxels, grid, None, frame_of(scan), problems)
    voxels, grid = to_canonical_axes(scan.voxels, scan.grid)
    turned = replace(scan, voxels=voxels, grid=grid)
    straight = scan.canonical()
    lungs = None
    if lung_mask_file is not None:
        lungs = given_lungs(lung_mask_file, scan, straight)
    elif scan.acquisition.units == "HU":
        lungs = lung_mask(straight)
    frame = frame_of(straight, lungs)
    spacing = _spacing(turned, config, mr_spacing_mm)
    target = canonical_grid(grid, spacing)
    if config.crop != "none":
        target = _cropped(target, _box_to_keep(straight, lungs, frame, config), config)
    problems = (
        *scan.problems,
        *own_problems(turned),
        *(lungs.problems if lungs else ()),
    )
    return ReadyScan(_resampled(turned, target), target, lungs, frame, problems)


def stored_units(scan: Scan) -> Units:
    """Return what the stored intensities of a scan mean."""
    if scan.acquisition.units == "HU":
        return "HU"
    return "unit" if scan.is_radiograph else "zscore"


def is_label_map(scan: Scan, kind: str) -> bool:
    """Whether a file holds classes, not an image: masks often lie beside scans."""
    untold = kind in UNTOLD and scan.acquisition.units != "HU"
    return untold and looks_like_labels(scan.voxels)


def _spacing(
    scan: Scan, config: PrepareConfig, mr_spacing_mm: Spacing | None
) -> Spacing:
    given = config.spacing_mm
    if isinstance(given, tuple):
        return given
    if given is not None:
        return given, given, given
    if scan.acquisition.units == "HU":
        return _CT_SPACING
    return mr_spacing_mm or scan.grid.spacing_mm


def _resampled(scan: Scan, grid: Grid) -> NDArray[np.generic]:
    """Sample by cubic B-splines; values stay within those of the scan."""
    if np.prod(grid.shape, dtype=np.int64) > _MOST_VOXELS:
        raise BadScan(
            f"at this spacing the scan would have {grid.shape} voxels",
            expected="fewer than 2 billion",
            next_step="Choose a larger spacing.",
        )
    hu = scan.acquisition.units == "HU"
    voxels = scan.voxels
    if voxels.dtype.kind != "f" and not hu:
        voxels = voxels.astype(np.float32)
    low, high = voxels.min(), voxels.max()
    ratio = np.divide(grid.spacing_mm, scan.grid.spacing_mm).max()
    sampled = resample(
        voxels,
        scan.grid,
        grid,
        order=3,
        outside=-1024.0 if hu else float(low),
        antialias=bool(ratio >= _COARSER),
    )
    # Splines overshoot at sharp edges; such values were never measured.
    return np.asarray(np.clip(sampled, min(low, -1024) if hu else low, high))


def _box_to_keep(
    scan: Scan, lungs: LungMask | None, frame: Frame, config: PrepareConfig
) -> NDArray[np.float64]:
    """Return two corners, LPS millimetres, of the box around the lungs or the body."""
    if config.crop == "lungs" and lungs is not None and lungs.volume_ml > 0:
        box = bounding_box(lungs.mask > 0)
        return lungs.grid.to_patient(
            [[s.start for s in box], [s.stop - 1 for s in box]]
        )
    body = frame_of(scan) if frame.kind == "lungs" else frame
    return np.array([body.low, body.high])


def _cropped(grid: Grid, corners: NDArray[np.float64], config: PrepareConfig) -> Grid:
    """Return the part of a grid in a box, with its margin."""
    margin = config.crop_margin_mm
    low, high = corners.min(axis=0) - margin, corners.max(axis=0) + margin
    ends, last = grid.to_index([low, high]), np.array(grid.shape) - 1
    start = np.clip(np.floor(ends.min(axis=0)), 0, last)
    stop = np.clip(np.ceil(ends.max(axis=0)), start, last)
    return grid.cropped(start, stop - start + 1)


def _radiograph(scan: Scan, size: int) -> tuple[NDArray[np.generic], Grid]:
    """Resample a projection image so that its long side has a number of pixels."""
    voxels = scan.voxels.astype(np.float32)
    longest = max(scan.grid.shape)
    factor = longest / size
    shape = [max(1, round(n / factor)) for n in scan.grid.shape[1:]]
    affine = scan.grid.affine.copy()
    affine[:3, 1:3] *= factor
    # The first pixel's corner stays where it is, so its centre moves.
    corner = np.array([0, (factor - 1) / 2, (factor - 1) / 2])
    affine[:3, 3] = scan.grid.to_patient(corner)
    grid = Grid((1, shape[0], shape[1]), affine)
    low = float(voxels.min())
    sampled = resample(
        voxels, scan.grid, grid, order=3, outside=low, antialias=factor > 1
    )
    return sampled, grid


def _write_lungs(job: Job, lungs: LungMask) -> None:
    with written_beside(job.layout.lungs(job.key)) as part, part.open("wb") as stream:
        np.savez_compressed(stream, mask=lungs.mask, affine=lungs.grid.affine)
