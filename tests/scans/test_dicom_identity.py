"""Identifiers that repeat, differ or lack: places decide, or a refusal by name."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.errors import BadScan
from scanlearn.scans.dicom.series import group_slices
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
quick = settings(max_examples=40, deadline=None)


@pytest.fixture(scope="session")
def stack(header_of):
    """Return a function that makes an even stack; ``info`` says what its series is."""

    def make(count, *, start=0.0, step=2.0, folder="", info=lambda _: {}, **changes):
        made = []
        for k in range(count):
            header = header_of(
                (0, 0, start + step * k), path=Path(folder, f"{k}.dcm"), **changes
            )
            series = replace(header.series, **{"study": "1.9", **info(k)})
            made.append(replace(header, series=series))
        return made

    return make


def codes(scan) -> list[str]:
    return [problem.code for problem in scan.problems]


@quick
@given(
    count=st.integers(3, 12),
    per_uid=st.integers(1, 2),
    number=st.sampled_from(["", "4"]),
    own_study=st.booleans(),
    data=st.data(),
)
def test_an_identifier_for_every_image_or_two(
    stack, count, per_uid, number, own_study, data
):
    def info(k):
        uid = f"1.2.{k // per_uid}"
        return {"uid": uid, "number": number, "study": uid if own_study else "1.9"}

    slices = stack(max(count, 3 * per_uid), info=info)
    [scan] = group_slices(data.draw(st.permutations(slices)))
    assert len(scan.slices) == len(slices)
    assert codes(scan) == ["joined"]
    assert scan.error == ""


@quick
@given(count=st.integers(3, 7), phases=st.integers(2, 3), data=st.data())
def test_an_identifier_for_every_image_of_several_phases(stack, count, phases, data):
    slices = [
        replace(header, phase=(("EchoTime", str(n)),), path=Path(f"{n}-{k}.dcm"))
        for n in range(phases)
        for k, header in enumerate(
            stack(count, info=lambda k, n=n: {"uid": f"1.{n}.{k}"})
        )
    ]
    scans = group_slices(data.draw(st.permutations(slices)))
    assert [len(scan.slices) for scan in scans] == [count] * phases
    for scan in scans:
        assert len({s.path.name[0] for s in scan.slices}) == 1


@quick
@given(pattern=st.lists(st.integers(0, 2), min_size=6, max_size=14), data=st.data())
def test_pieces_that_the_scanner_counted_as_one_series(stack, pattern, data):
    slices = stack(
        len(pattern), info=lambda k: {"uid": f"1.2.{pattern[k]}", "number": "3"}
    )
    [scan] = group_slices(data.draw(st.permutations(slices)))
    assert len(scan.slices) == len(pattern)
    assert codes(scan) == (["joined"] if len(set(pattern)) > 1 else [])


@quick
@given(series=st.integers(2, 4), count=st.integers(4, 9), data=st.data())
def test_series_at_the_same_places_stay_apart(stack, series, count, data):
    slices = [
        header
        for n in range(series)
        for header in stack(count, info=lambda _, n=n: {"uid": f"1.2.{n}"})
    ]
    scans = group_slices(data.draw(st.permutations(slices)))
    assert Counter(len(scan.slices) for scan in scans) == {count: series}
    assert len({scan.series_uid for scan in scans}) == series


@quick
@given(patients=st.integers(2, 4), count=st.integers(4, 8), data=st.data())
def test_patients_with_one_series_uid_are_parted(stack, patients, count, data):
    slices = [
        header
        for n in range(patients)
        for header in stack(
            count, folder=f"p{n}", info=lambda _, n=n: {"patient": f"p{n}"}
        )
    ]
    scans = group_slices(data.draw(st.permutations(slices)))
    assert len(scans) == patients
    for scan in scans:
        assert len({s.series.patient for s in scan.slices}) == 1
        assert codes(scan) == ["shared_series_uid"]


@quick
@given(owners=st.lists(st.integers(0, 3), min_size=6, max_size=12), data=st.data())
def test_one_volume_of_several_patients_is_refused_by_name(stack, owners, data):
    slices = stack(len(owners), info=lambda k: {"patient": f"p{owners[k]}"})
    [scan] = group_slices(data.draw(st.permutations(slices)))
    if len(set(owners)) == 1:
        assert scan.error == ""
    else:
        assert f"name {len(set(owners))} patients" in scan.error
        assert "PatientID" in scan.next_step


@quick
@given(patients=st.integers(1, 4), count=st.integers(3, 7), data=st.data())
def test_without_identifiers_the_folders_part_series(stack, patients, count, data):
    blank = {"uid": "", "study": "", "patient": "", "is_identified": False}
    slices = [
        header
        for n in range(patients)
        for header in stack(count, folder=f"f{n}", info=lambda _: blank)
    ]
    scans = group_slices(data.draw(st.permutations(slices)))
    assert [len(scan.slices) for scan in scans] == [count] * patients
    for scan in scans:
        assert len({s.path.parent for s in scan.slices}) == 1
    names = [scan.series_uid for scan in scans]
    assert len(set(names)) == patients
    assert all(names) == (patients > 1)


@pytest.mark.parametrize("shared", [True, False])
def test_one_sop_uid_for_all(
    tmp_path, write_series, stored_volume, even_positions, shared
):
    uid = {"SOPInstanceUID": "1.2.3.4.5" if shared else None}
    write_series(tmp_path, stored_volume, even_positions, **uid)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.voxels, stored_volume.astype(int) - 1024)
    assert [p.code for p in scan.problems] == (["shared_sop_uid"] if shared else [])


def test_one_sop_uid_for_all_images_of_two_phases(
    tmp_path, write_series, stored_volume, even_positions
):
    """Same UID and same places, but other pixels: no copies."""
    for phase in (1, 2):
        write_series(
            tmp_path,
            stored_volume + np.uint16(phase),
            even_positions,
            name=f"{phase}-" + "{}.dcm",
            SOPInstanceUID="1.2.3.4.5",
            AcquisitionNumber=phase,
        )
    first, second = find_scans(tmp_path)
    for entry, phase in ((first, 1), (second, 2)):
        expected = stored_volume.astype(int) + phase - 1024
        np.testing.assert_array_equal(read_scan(entry).voxels, expected)


def test_a_series_uid_for_every_slice_in_files(
    tmp_path, write_series, stored_volume, even_positions
):
    write_series(
        tmp_path,
        stored_volume,
        even_positions,
        tags_of=lambda k: {"SeriesInstanceUID": f"1.2.3.{k}", "SeriesNumber": 2},
    )
    [entry] = find_scans(tmp_path)
    for source in (entry, tmp_path):
        scan = read_scan(source)
        np.testing.assert_array_equal(scan.voxels, stored_volume.astype(int) - 1024)
        assert [p.code for p in scan.problems] == ["joined"]


def test_several_patients_in_a_volume_of_files(
    tmp_path, write_series, stored_volume, even_positions
):
    write_series(
        tmp_path,
        stored_volume,
        even_positions,
        tags_of=lambda k: {"PatientID": f"secret-{k}"},
    )
    with pytest.raises(BadScan, match="name 6 patients") as caught:
        read_scan(tmp_path)
    assert "secret" not in str(caught.value)


def test_cone_beam_ct_is_a_volume_whatever_it_is_called(
    tmp_path, write_series, stored_volume, even_positions
):
    classes = {
        "1.2.840.10008.5.1.4.1.1.2": "CT",
        "1.2.840.10008.5.1.4.1.1.1.1": "XA",
        "1.2.840.10008.5.1.4.1.1.7": "XA",
    }
    for uid, modality in classes.items():
        tags = {"SOPClassUID": uid, "Modality": "XA"}
        write_series(tmp_path / uid, stored_volume, even_positions, **tags)
        scan = read_scan(tmp_path / uid)
        np.testing.assert_array_equal(scan.voxels, stored_volume.astype(int) - 1024)
        assert [p.code for p in scan.problems] == ["sections"]
        assert scan.acquisition.modality == modality
        assert not scan.is_radiograph
        assert (scan.acquisition.units == "HU") == (modality == "CT")


def test_two_projections_with_a_place_stay_radiographs(
    tmp_path, write_series, stored_volume, even_positions
):
    tags = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1", "Modality": "DX"}
    write_series(tmp_path, stored_volume[:2], even_positions[[0, 0]], **tags)
    assert [e.shape for e in find_scans(tmp_path)] == [(1, 9, 11)] * 2


@quick
@given(count=st.integers(5, 9), data=st.data())
def test_single_slices_that_are_not_joined_say_so(stack, count, data):
    """One is missing, so that chance cannot be excluded."""
    slices = stack(count, info=lambda k: {"uid": f"1.2.{k}"})
    del slices[2]
    scans = group_slices(data.draw(st.permutations(slices)))
    assert len(scans) == count - 1
    for scan in scans:
        assert codes(scan) == ["not_joined", "single_slice"]
        assert f"one of {count - 1} single slices" in scan.problems[0].text
