"""Times, echoes, directions and phases of one series become volumes, never a mixture.

Every image carries the volume it belongs to in its file name; whatever the tags, the
order and the jitter, no part may hold images of two volumes.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.scans.dicom.series import group_slices

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
quick = settings(max_examples=40, deadline=None)

volumes = st.integers(2, 5)
places = st.integers(3, 8)
steps = st.sampled_from([0.625, 1.0, 2.5, 5.0])


@pytest.fixture(scope="session")
def images(header_of):
    """Return a function that makes the images of several volumes of one series."""

    def make(count, slices, step, *, tags=None, offset=0.0, jitter=0.0, **changes):
        rng = np.random.default_rng(count * slices)
        made = []
        for volume in range(count):
            for k in range(slices):
                place = step * k + offset * volume + jitter * rng.uniform(-1, 1)
                own = {} if tags is None else tags(volume, k)
                header = header_of((0, 0, place), path=Path(f"v{volume}-{k}.dcm"))
                more = {**changes, **own}
                phase = tuple((n, str(v)) for n, v in more.pop("phase", {}).items())
                made.append(replace(header, phase=phase, **more))
        return made

    return make


def volume_of(header) -> int:
    return int(header.path.name[1:].split("-")[0])


def by_volume(name: str, values):
    """Return a function that gives images the tag of their volume."""
    return lambda volume, _: {"phase": {name: values[volume]}}


def check_parts(headers, count: int, slices: int) -> list:
    """Check that headers become whole volumes; returns them in their order."""
    scans = group_slices(headers)
    assert [scan.error for scan in scans] == [""] * count
    assert [len(scan.slices) for scan in scans] == [slices] * count
    for scan in scans:
        assert len({volume_of(s) for s in scan.slices}) == 1
        assert not scan.to_repair
    assert sorted(volume_of(scan.slices[0]) for scan in scans) == list(range(count))
    return scans


TAGS = [
    "SeriesNumber",
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "EchoTime",
    "DiffusionBValue",
    "KVP",
    "b-value (GE)",
    "phase number (Philips)",
    "TriggerTime",
    "AcquisitionTime",
]


@quick
@given(
    name=st.sampled_from(TAGS),
    count=volumes,
    slices=places,
    step=steps,
    jitter=st.sampled_from([0.0, 1e-4, 0.02]),
    data=st.data(),
)
def test_one_tag_parts_images_of_a_place(
    images, name, count, slices, step, jitter, data
):
    values = data.draw(
        st.lists(st.integers(0, 3000), min_size=count, max_size=count, unique=True)
    )
    made = images(
        count,
        slices,
        step,
        jitter=jitter,
        tags=by_volume(name, values),
    )
    scans = check_parts(data.draw(st.permutations(made)), count, slices)
    # In the order of the tag's values, and named so.
    assert [values[volume_of(s.slices[0])] for s in scans] == sorted(values)
    assert scans[1].label.startswith(f"2 of {count}")
    if name not in ("AcquisitionTime", "TriggerTime", "SeriesNumber"):
        assert f"{name} = {sorted(values)[1]}" in scans[1].label


@quick
@given(echoes=st.integers(2, 3), times=st.integers(2, 3), slices=places, data=st.data())
def test_two_tags_at_once(images, echoes, times, slices, data):
    def tags(volume, _):
        echo, time = divmod(volume, times)
        return {"phase": {"EchoTime": 2.5 * (echo + 1), "AcquisitionNumber": time}}

    made = images(echoes * times, slices, 2.0, tags=tags)
    check_parts(data.draw(st.permutations(made)), echoes * times, slices)


@quick
@given(directions=st.integers(1, 4), slices=places, data=st.data())
def test_directions_of_one_b_value(images, directions, slices, data):
    turns = ["", "1\\0\\0", "0\\1\\0", "0\\0\\1", "0.6\\0.8\\0"]

    def tags(volume, _):
        b = 0 if volume == 0 else 1000
        phase = {"DiffusionBValue": b, "DiffusionGradientOrientation": turns[volume]}
        return {"phase": {k: v for k, v in phase.items() if v != ""}}

    made = images(directions + 1, slices, 2.0, tags=tags)
    check_parts(data.draw(st.permutations(made)), directions + 1, slices)


@quick
@given(count=volumes, slices=places, by_place=st.booleans(), data=st.data())
def test_a_regular_order_of_images_parts_them(images, count, slices, by_place, data):
    """Volume by volume, in any order of its places, or place by place."""
    start = data.draw(st.integers(0, 50))
    orders = [data.draw(st.permutations(range(slices))) for _ in range(count)]

    def tags(volume, k):
        whole = volume * slices + orders[volume][k]
        return {"number": start + (k * count + volume if by_place else whole)}

    made = images(count, slices, 2.0, tags=tags)
    check_parts(data.draw(st.permutations(made)), count, slices)


@quick
@given(count=volumes, slices=places, data=st.data())
def test_cardiac_phases_by_trigger_times_that_fit_no_two_slices(
    images, count, slices, data
):
    drift = [data.draw(st.floats(-3, 3)) for _ in range(slices)]

    def tags(volume, k):
        return {"phase": {"TriggerTime": round(40.0 * volume + drift[k], 2)}}

    made = images(count, slices, 8.0, tags=tags)
    check_parts(data.draw(st.permutations(made)), count, slices)


@quick
@given(count=volumes, slices=places, data=st.data())
def test_dynamics_by_clock_times(images, count, slices, data):
    """Each slice has its own time; a volume is complete before the next begins."""

    def tags(volume, k):
        seconds = 10 * volume + 9 * k / slices
        return {"phase": {"AcquisitionTime": f"1015{seconds:09.6f}"}}

    made = images(count, slices, 3.0, tags=tags)
    check_parts(data.draw(st.permutations(made)), count, slices)


@quick
@given(count=volumes, slices=places, data=st.data())
def test_what_nothing_tells_apart_is_refused_whole(images, count, slices, data):
    """One image is counted out of turn, or none is counted at all."""
    numbers = list(range(count * slices))
    numbers[0], numbers[slices + 1] = numbers[slices + 1], numbers[0]
    made = images(
        count, slices, 2.0, tags=lambda v, k: {"number": numbers[v * slices + k]}
    )
    for headers in (made, [replace(h, number=None) for h in made]):
        [scan] = group_slices(data.draw(st.permutations(headers)))
        assert "neither a tag nor a regular order" in scan.error
        assert not scan.to_repair


@quick
@given(
    slices=st.integers(4, 9),
    part=st.floats(0.25, 0.75),
    name=st.sampled_from(
        ["AcquisitionNumber", "AcquisitionTime", "number", "SeriesNumber"]
    ),
    data=st.data(),
)
def test_ct_phases_between_each_other(images, slices, part, name, data):
    """Two sweeps of a CT whose slices do not share positions, as in case 08."""

    def tags(volume, k):
        if name == "number":
            return {"number": 100 * volume + k}
        return {"phase": {name: 7 + volume}}

    made = images(2, slices, 3.0, offset=3.0 * part, tags=tags, thickness=3.0)
    check_parts(data.draw(st.permutations(made)), 2, slices)


@quick
@given(slices=st.integers(4, 9), data=st.data())
def test_one_volume_in_two_passes_stays_one(images, slices, data):
    """MR of thin slices, every second one in the first pass."""
    info = images(1, 1, 1.0)[0].series
    mr = replace(info, acquisition=replace(info.acquisition, modality="MR"))
    made = images(
        2,
        slices,
        4.0,
        offset=2.0,
        tags=lambda v, k: {"phase": {"AcquisitionTime": 100 + v}, "number": v * 50 + k},
        thickness=1.8,
        series=mr,
    )
    [scan] = group_slices(data.draw(st.permutations(made)))
    assert len(scan.slices) == 2 * slices
    assert not scan.problems


@quick
@given(slices=st.integers(4, 9), rotations=st.integers(2, 4), data=st.data())
def test_step_and_shoot_stays_one(images, slices, rotations, data):
    """Each rotation of a CT has its own acquisition number, and its own places."""
    made = images(
        rotations,
        slices,
        1.0,
        offset=float(slices),
        tags=lambda v, k: {"phase": {"AcquisitionNumber": v}, "number": v * slices + k},
    )
    [scan] = group_slices(data.draw(st.permutations(made)))
    assert len(scan.slices) == rotations * slices
    assert (scan.error, scan.to_repair) == ("", ())


@quick
@given(slices=st.integers(4, 8), gone=st.integers(1, 2), data=st.data())
def test_uneven_phases_between_each_other_are_no_gap_to_fill(
    images, slices, gone, data
):
    made = images(
        2,
        slices,
        3.0,
        offset=1.0,
        tags=by_volume("AcquisitionNumber", [1, 2]),
    )
    left = [h for h in made if h.path.name != f"v0-{gone}.dcm"]
    scans = group_slices(data.draw(st.permutations(left)))
    assert all(
        scan.error or len({volume_of(h) for h in scan.slices}) == 1 for scan in scans
    )


def test_a_missing_slice_of_one_echo_is_told_of_that_echo(images):
    made = images(2, 5, 2.0, tags=by_volume("EchoTime", [1, 2]))
    left = [h for h in made if h.path.name != "v1-2.dcm"]
    whole, broken = group_slices(left)
    assert not whole.problems[1:]
    assert [p.code for p in broken.to_repair] == ["missing"]


def test_stacks_side_by_side_are_told_apart(images):
    """Two stacks of one series at the same heights: left and right."""
    left = images(1, 6, 2.0)
    right = [
        replace(h, position=(120.0, 0.0, h.position[2]), path=Path(f"v1-{k}.dcm"))
        for k, h in enumerate(left)
    ]
    check_parts(left + right, 2, 6)


def test_echo_times_spelled_differently_are_one(images):
    spelled = ["4.60", "4.6", "9.20", "9.2"]
    made = images(
        2, 4, 2.0, tags=lambda v, k: {"phase": {"EchoTime": spelled[2 * v + k % 2]}}
    )
    check_parts(made, 2, 4)


@quick
@given(
    slices=st.integers(6, 9),
    name=st.sampled_from(["AcquisitionTime", "number", "AcquisitionNumber"]),
    data=st.data(),
)
def test_ct_phases_that_share_a_place_or_two(images, slices, name, data):
    """Phases of 3 mm and of 5 mm: some places are the same, most lie between."""

    def tags(volume, k):
        place = (0, 0, (3.0, 5.0)[volume] * k)
        if name == "number":
            return {"number": 100 * volume + k, "position": place}
        return {"phase": {name: 7 + volume}, "position": place}

    made = images(2, slices, 3.0, tags=tags, thickness=3.0)
    check_parts(data.draw(st.permutations(made)), 2, slices)


@quick
@given(count=st.integers(2, 3), slices=st.integers(4, 8), data=st.data())
def test_places_alone_tell_that_volumes_were_mixed(images, count, slices, data):
    """Nothing but their distances tells them apart: no gap is offered to fill."""
    made = images(count, slices, 5.0, offset=1.0)
    [scan] = group_slices(data.draw(st.permutations(made)))
    assert f"like those of {count} volumes between each other" in scan.error
    assert not scan.to_repair
