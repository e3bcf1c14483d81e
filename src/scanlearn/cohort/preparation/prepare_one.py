"""One scan on its way into a cohort: read, made ready, normalised, written."""

from __future__ import annotations

import numpy as np

from scanlearn.anatomy.lungs import LungMask
from scanlearn.cohort.atlas.atlas_cache import keep_placement
from scanlearn.cohort.atlas.atlas_quality import (
    default_atlas,
    default_placement,
    remarks,
)
from scanlearn.cohort.catalogue import write_record
from scanlearn.cohort.intensity import Units, normalised
from scanlearn.cohort.keys import read_salt
from scanlearn.cohort.labels.masks_among_scans import is_label_map
from scanlearn.cohort.preparation.plan import Job
from scanlearn.cohort.preparation.previews import write_preview
from scanlearn.cohort.preparation.privacy import scrubbed, scrubbed_problems, secrets_of
from scanlearn.cohort.preparation.provenance import source_hash, voxel_hash
from scanlearn.cohort.ready_scan import ready_scan
from scanlearn.cohort.record import ScanRecord, matrix_of
from scanlearn.cohort.store import STORES, stored_hash
from scanlearn.errors import BadScan
from scanlearn.files import written_beside
from scanlearn.letters import without_hidden
from scanlearn.scans.read import read_scan
from scanlearn.scans.scan import Scan


class NoScan(BadScan):
    """A readable file that is no scan but something that belongs to one."""


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
    if is_label_map(scan, job.entry.kind, beside_scan=job.beside_scan):
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
        modality=_modality(acquisition.modality, secrets),
        body_part=without_hidden(scrubbed(acquisition.body_part, secrets)),
        kernel=without_hidden(scrubbed(acquisition.kernel, secrets)),
        manufacturer=without_hidden(scrubbed(acquisition.manufacturer, secrets)),
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
        stored_hash=stored_hash(stored),
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


def _modality(stated: str, secrets: list[str]) -> str:
    # The two letters of a modality may be somebody's initials, too.
    return stated if len(stated) == 2 else scrubbed(stated, secrets)


def stored_units(scan: Scan) -> Units:
    """Return what the stored intensities of a scan mean."""
    if scan.acquisition.units == "HU":
        return "HU"
    return "unit" if scan.is_radiograph else "zscore"


def _write_lungs(job: Job, lungs: LungMask) -> None:
    with written_beside(job.layout.lungs(job.key)) as part, part.open("wb") as stream:
        np.savez_compressed(stream, mask=lungs.mask, affine=lungs.grid.affine)
