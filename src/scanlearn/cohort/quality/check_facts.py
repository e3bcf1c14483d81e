"""What the checks compare scans by, taken from a header, a scan or a cohort."""

from __future__ import annotations

from scanlearn.anatomy.frames import frame_of
from scanlearn.anatomy.lungs import lung_mask
from scanlearn.cohort.atlas.atlas_quality import (
    AtlasQuality,
    default_atlas,
    default_placement,
    quality_of,
)
from scanlearn.cohort.preparation.provenance import voxel_hash
from scanlearn.cohort.preparation.spacing import canonical_order
from scanlearn.cohort.quality.check_rules import ScanFacts
from scanlearn.cohort.record import ScanRecord
from scanlearn.scans.geometry import canonical_grid
from scanlearn.scans.scan import Problem, Scan, ScanEntry

#: Smaller "lungs" are gas elsewhere in the body.
_LEAST_LUNGS_ML = 300.0


def facts_of_entry(entry: ScanEntry, patient: str) -> ScanFacts | None:
    """Return what a header tells; None where it tells no geometry."""
    if len(entry.shape) < 3 or len(entry.spacing_mm) != 3:
        return None
    order = canonical_order(entry)
    about = entry.acquisition
    return ScanFacts(
        patient=patient,
        modality=about.modality,
        shape=(entry.shape[order[0]], entry.shape[order[1]], entry.shape[order[2]]),
        spacing_mm=(
            entry.spacing_mm[order[0]],
            entry.spacing_mm[order[1]],
            entry.spacing_mm[order[2]],
        ),
        kernel=about.kernel,
        body_part=about.body_part,
        contrast=bool(about.contrast),
        slice_thickness_mm=about.slice_thickness_mm,
    )


def facts_of_scan(
    scan: Scan, patient: str
) -> tuple[ScanFacts, tuple[Problem, ...], AtlasQuality | None]:
    """Return what a scan tells, what is odd about its lungs, and how the atlas fits.

    ``scan`` has its axes in canonical order.
    """
    about = scan.acquisition
    lungs, placement = None, None
    if about.units == "HU" and not scan.is_radiograph:
        straight = scan.canonical()
        lungs = lung_mask(straight)
        placement = default_placement(lungs, frame_of(straight, lungs))
    facts = ScanFacts(
        patient=patient,
        modality=about.modality,
        shape=scan.grid.shape,
        spacing_mm=scan.grid.spacing_mm,
        kernel=about.kernel,
        body_part=about.body_part,
        contrast=bool(about.contrast),
        slice_thickness_mm=about.slice_thickness_mm,
        shows_lungs=None if lungs is None else lungs.volume_ml > _LEAST_LUNGS_ML,
        # Never kept, so it needs no salt; none travels to a cluster.
        voxel_hash=voxel_hash(scan.voxels, b""),
    )
    problems = () if lungs is None else lungs.problems
    fit = None if placement is None else quality_of(placement, default_atlas())
    return facts, problems, fit


def facts_of_record(record: ScanRecord) -> ScanFacts:
    """Return what a cohort knows of a scan; nothing is read again."""
    source = record.source_grid
    grid = source if record.is_radiograph else canonical_grid(source)
    lungs = record.lung_volume_ml
    return ScanFacts(
        patient=record.patient,
        modality=record.modality,
        shape=grid.shape,
        spacing_mm=grid.spacing_mm,
        kernel=record.kernel,
        body_part=record.body_part,
        contrast=record.contrast,
        slice_thickness_mm=record.slice_thickness_mm,
        shows_lungs=None if lungs is None else lungs > _LEAST_LUNGS_ML,
        voxel_hash=record.voxel_hash,
    )
