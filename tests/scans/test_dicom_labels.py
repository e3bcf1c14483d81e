"""RT-STRUCT and DICOM-SEG through preparing and collecting, as for a training."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from scanlearn.cohort.catalogue import Cohort
from scanlearn.cohort.preparation.prepare import prepare
from scanlearn.config.prepare import PrepareConfig
from scanlearn.errors import BadLabels
from scanlearn.scans.geometry import Grid
from scanlearn.scans.labels.read_labels import read_named_labels
from scanlearn.tasks.shared.label_maps import collect_labels

ROWS, COLUMNS, SLICES, STEP = 21, 23, 9, 2.0
SEG, RT = "1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.481.3"
GRID = Grid(
    (SLICES, ROWS, COLUMNS),
    np.array([[0, 0, 1, -11.0], [0, 1, 0, -10], [STEP, 0, 0, 0], [0, 0, 0, 1]]),
)
once = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def of(**values):
    """Return a dataset with these attributes."""
    made = Dataset()
    for name, value in values.items():
        setattr(made, name, value)
    return made


def dicom(sop_class, **values):
    made = of(SOPClassUID=sop_class, **values)
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPInstanceUID = made.get("SOPInstanceUID", "1.9.9")
    return made


def save(dataset, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def contour(height, radius, centre=(0.0, 0.0), kind="CLOSED_PLANAR"):
    angle = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    x, y = centre[0] + radius * np.cos(angle), centre[1] + radius * np.sin(angle)
    points = np.stack([x, y, np.full_like(x, height)], axis=1)
    return of(
        ContourGeometricType=kind,
        NumberOfContourPoints=len(points),
        ContourData=[f"{value:.4f}" for value in points.ravel()],
    )


def structures(regions, *, series="1.2.0", frame="1.3.0", patient="P0"):
    """Return an RT-STRUCT of regions (number, name, contours)."""
    made = dicom(RT, Modality="RTSTRUCT", PatientID=patient)
    made.StructureSetROISequence = [
        of(ROINumber=number, ROIName=name) for number, name, _ in regions
    ]
    made.ROIContourSequence = [
        of(ReferencedROINumber=number, ContourSequence=contours)
        for number, _, contours in regions
    ]
    if series:
        study = of(RTReferencedSeriesSequence=[of(SeriesInstanceUID=series)])
        made.ReferencedFrameOfReferenceSequence = [
            of(FrameOfReferenceUID=frame, RTReferencedStudySequence=[study])
        ]
    return made


def segmentation(frames, names, **facts):
    """Return a DICOM-SEG of frames (segment, position, mask)."""
    shape = frames[0][2].shape
    made = dicom(SEG, Modality="SEG", SegmentationType="BINARY")
    about = {"series": "1.2.0", "frame": "1.3.0", "patient": "P0"} | facts
    made.PatientID, made.FrameOfReferenceUID = about["patient"], about["frame"]
    made.ReferencedSeriesSequence = [of(SeriesInstanceUID=about["series"])]
    made.Rows, made.Columns, made.NumberOfFrames = *shape, len(frames)
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.BitsAllocated, made.BitsStored, made.HighBit = 1, 1, 0
    made.PixelRepresentation = 0
    made.SegmentSequence = [
        of(SegmentNumber=number, SegmentLabel=name) for number, name in names.items()
    ]
    measures = of(PixelSpacing=[1.0, 1.0], SpacingBetweenSlices=STEP)
    turn = of(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    made.SharedFunctionalGroupsSequence = [
        of(PixelMeasuresSequence=[measures], PlaneOrientationSequence=[turn])
    ]
    made.PerFrameFunctionalGroupsSequence = [
        of(
            PlanePositionSequence=[of(ImagePositionPatient=list(map(float, place)))],
            SegmentIdentificationSequence=[of(ReferencedSegmentNumber=number)],
        )
        for number, place, _ in frames
    ]
    masks = np.stack([mask for *_, mask in frames]).astype(np.uint8)
    packed = np.packbits(masks.ravel(), bitorder="little").tobytes()
    made.PixelData = packed + b"\0" * (len(packed) % 2)
    return made


@pytest.fixture(scope="session")
def cohort(tmp_path_factory):
    """Return a cohort of three CTs, ``scan0`` to ``scan2``; not to be changed."""
    base = tmp_path_factory.mktemp("dicom_labels")
    body = np.full((ROWS, COLUMNS), 24, np.uint16)
    body[3:-3, 3:-3] = 1064
    for number in range(3):
        for k in range(SLICES):
            made = dicom(
                "1.2.840.10008.5.1.4.1.1.2",
                SOPInstanceUID=f"1.9.{number}.{k + 1}",
                StudyInstanceUID=f"1.1.{number}",
                SeriesInstanceUID=f"1.2.{number}",
                FrameOfReferenceUID=f"1.3.{number}",
                PatientID=f"P{number}",
                Modality="CT",
                ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
                InstanceNumber=k + 1,
                ImagePositionPatient=[-11.0, -10.0, STEP * k],
                ImageOrientationPatient=[1.0, 0, 0, 0, 1, 0],
                PixelSpacing=[1.0, 1.0],
                SliceThickness=STEP,
                Rows=ROWS,
                Columns=COLUMNS,
                SamplesPerPixel=1,
                PhotometricInterpretation="MONOCHROME2",
                BitsAllocated=16,
                BitsStored=12,
                HighBit=11,
                PixelRepresentation=0,
                RescaleSlope="1",
                RescaleIntercept="-1024",
            )
            made.PixelData = body.tobytes()
            made["PixelData"].VR = "OW"
            save(made, base / "scans" / f"scan{number}" / f"{k:02}.dcm")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCANLEARN_HOME", str(base / "home"))
        prepare(base / "scans", base / "cohort", PrepareConfig(spacing_mm=1, workers=0))
    return Cohort(base / "cohort")


def disc(radius, centre=(0.0, 0.0)):
    rows, columns = np.indices((ROWS, COLUMNS))
    return np.hypot(columns - 11 - centre[0], rows - 10 - centre[1]) < radius


@once
@given(
    offset=st.floats(-0.49, 0.49),
    radius=st.floats(2.3, 8),
    first=st.integers(1, 3),
    count=st.integers(1, 5),
    kinds=st.lists(
        st.sampled_from(["CLOSED_PLANAR", "INTERPOLATED_PLANAR"]),
        min_size=5,
        max_size=5,
    ),
)
def test_contours_fill_the_slices_they_are_nearest_to(
    tmp_path, offset, radius, first, count, kinds
):
    heights = [STEP * (first + k + offset) for k in range(count)]
    drawn = [contour(h, radius, kind=k) for h, k in zip(heights, kinds, strict=False)]
    path = save(structures([(4, "organ", drawn)]), tmp_path / "rs.dcm")
    found = read_named_labels(path, like=GRID)
    painted = np.flatnonzero(found.labels.any(axis=(1, 2)))
    np.testing.assert_array_equal(painted, np.arange(first, first + count))
    # By area: the border is what a grid may add or take.
    for k in painted:
        area = np.count_nonzero(found.labels[k])
        assert abs(area - np.pi * radius**2) <= 2 * np.pi * radius
    assert any("between slices" in n.text for n in found.notes) == (abs(offset) > 0.1)


@once
@given(numbers=st.permutations([1, 2, 3]), forms=st.tuples(*[st.booleans()] * 3))
def test_formats_and_orders_mix_in_one_cohort(cohort, tmp_path, numbers, forms):
    """Heart and liver are numbered otherwise in every file, of either format."""
    labels = tmp_path / "-".join(map(str, (*numbers, *forms)))
    for number, is_seg in enumerate(forms):
        facts = {"series": f"1.2.{number}", "frame": f"1.3.{number}"}
        facts["patient"] = f"P{number}"
        order = np.roll(numbers, number).tolist()
        names = dict(zip(order, ("heart", "Liver", "couch"), strict=True))
        if is_seg:
            frames = [
                (own, (-11, -10, STEP * k), disc(radius, centre))
                for k in (2, 3, 4)
                for own, radius, centre in (
                    (order[0], 6.3, (0, 0)),
                    (order[1], 2.2, (8, 6)),
                )
            ]
            made = segmentation(frames, dict(sorted(names.items())), **facts)
        else:
            drawn = {
                "heart": [contour(STEP * k, 6.3) for k in (2, 3, 4)],
                "Liver": [contour(STEP * k, 2.2, (8, 6)) for k in (2, 3, 4)],
                "couch": [],
            }
            regions = [(own, names[own], drawn[names[own]]) for own in order]
            made = structures(regions, **facts)
        save(made, labels / f"{number}.dcm")
    found = collect_labels(labels, cohort)
    assert sorted(found.names.values()) == ["Liver", "heart"]
    heart = next(value for value, name in found.names.items() if name == "heart")
    liver = next(value for value, name in found.names.items() if name == "Liver")
    voxels = 3 * np.count_nonzero(disc(6.3)), 3 * np.count_nonzero(disc(2.2, (8, 6)))
    assert len(found.items) == 3
    for item in found.items:
        assert (item.voxels[heart], item.voxels[liver]) == voxels
        mapped = item.read()
        assert np.count_nonzero(mapped == heart) > np.count_nonzero(mapped == liver) > 0
    assert any("couch is empty" in remark for remark in found.remarks)
    counts = {one.name: (one.files, one.voxels) for one in found.counts()}
    assert counts == {"heart": (3, 3 * voxels[0]), "Liver": (3, 3 * voxels[1])}


@once
@given(
    low=st.tuples(st.integers(0, 6), st.integers(0, 9), st.integers(0, 9)),
    size=st.tuples(st.integers(3, 12), st.integers(3, 12)),
    planes=st.sets(st.integers(0, 5), min_size=1),
    seed=st.integers(0, 99),
)
def test_frames_of_a_part_lie_at_their_own_place(tmp_path, low, size, planes, seed):
    rng = np.random.default_rng(seed)
    expected = np.zeros(GRID.shape, np.uint8)
    frames, outside = [], 0
    for plane in sorted(planes):
        mask = rng.integers(0, 2, size).astype(bool)
        place = (-11.0 + low[2], -10.0 + low[1], STEP * (low[0] + plane))
        frames.append((1, place, mask))
        if low[0] + plane >= SLICES:
            outside += np.count_nonzero(mask)
            continue
        there = expected[low[0] + plane, low[1] :, low[2] :][: size[0], : size[1]]
        there[:] = mask[: there.shape[0], : there.shape[1]]
        outside += np.count_nonzero(mask) - np.count_nonzero(there)
    path = save(segmentation(frames, {1: "organ"}), tmp_path / "seg.dcm")
    if not expected.any() and all(low[0] + plane >= SLICES for plane in planes):
        with pytest.raises(BadLabels, match="another grid"):
            read_named_labels(path, like=GRID)
        return
    found = read_named_labels(path, like=GRID)
    np.testing.assert_array_equal(found.labels, expected)
    told = [note.detail for note in found.notes if "outside" in note.kind]
    assert told == ([f"{outside} voxels"] if outside else [])


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"series": "1.2.77"}, "series"),
        ({"patient": "P7"}, "patient"),
        ({"frame": "1.3.77"}, "frame of reference"),
        ({"series": "1.2.1", "patient": "P1", "frame": "1.3.1"}, "series"),
    ],
)
@pytest.mark.parametrize("form", ["seg", "rtstruct"])
def test_labels_of_another_scan_are_refused(cohort, tmp_path, other, what, form):
    facts = {"series": "1.2.0", "patient": "P0", "frame": "1.3.0"}

    def write(**stated):
        frames = [(1, (-11, -10, STEP * k), disc(6)) for k in (2, 3, 4)]
        drawn = [contour(STEP * k, 6.3) for k in (2, 3, 4)]
        made = (
            segmentation(frames, {1: "organ"}, **stated)
            if form == "seg"
            else structures([(1, "organ", drawn)], **stated)
        )
        save(made, tmp_path / "scan0.dcm")

    write(**facts)
    assert len(collect_labels(tmp_path, cohort).items) == 1
    write(**facts | other)
    with pytest.raises(BadLabels, match=f"another scan.*{what}") as error:
        collect_labels(tmp_path, cohort)
    assert "--ignore-reference" in error.value.next_step
    assert "P7" not in str(error.value)
    taken = collect_labels(tmp_path, cohort, ignore_reference=True)
    assert any("labels name another" in remark for remark in taken.remarks)


def test_contours_that_name_no_series_are_taken_and_told(cohort, tmp_path):
    drawn = [contour(STEP * k, 6.3) for k in (2, 3, 4)]
    made = structures([(1, "organ", drawn)], series="", patient="P9")
    save(made, tmp_path / "scan0.dcm")
    found = collect_labels(tmp_path, cohort)
    assert any("another patient" in remark for remark in found.remarks)


def test_contours_beside_their_slices_are_found_by_their_reference(cohort, tmp_path):
    """As planning systems export them: RS and CT files in one folder."""
    drawn = [contour(STEP * k, 6.3) for k in (2, 3, 4)]
    made = structures(
        [(1, "organ", drawn)], series="1.2.2", frame="1.3.2", patient="P2"
    )
    save(made, tmp_path / "deep" / "RS.1.2.3")
    (item,) = collect_labels(tmp_path, cohort).items
    assert cohort.sources()[item.scan].series == "1.2.2"


def test_what_is_left_out_is_told(tmp_path):
    drawn = [contour(STEP * k, 6.3) for k in range(3, 15)]
    drawn += [contour(STEP * 4, 0.1, (0.5, 0.5)), contour(4, 5, kind="OPEN_PLANAR")]
    made = structures(
        [(1, "organ", drawn), (2, "isocentre", [contour(4, 3, kind="POINT")])]
    )
    found = read_named_labels(save(made, tmp_path / "rs.dcm"), like=GRID)
    told = {note.kind: note.detail for note in found.notes}
    assert told["contours outside the scan were left out"] == "organ 6"
    assert told["contours that reach no voxel's centre were left out"] == "organ 1"
    kinds = "points, open lines and contours of unknown kind were left out"
    assert told[kinds] == "organ 1, isocentre 1"
    sparse = [contour(STEP * k, 6.3) for k in (1, 3, 5, 7)]
    made = structures([(1, "organ", sparse)])
    found = read_named_labels(save(made, tmp_path / "rs.dcm"), like=GRID)
    assert found.notes[0].detail == "organ 3 empty slices"
