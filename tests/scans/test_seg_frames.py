"""Packed frames against masks that were packed by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlearn.errors import BadLabels
from scanlearn.scans.labels.seg_frames import read_frames


def dataset(packed, count):
    meta = SimpleNamespace(TransferSyntaxUID=SimpleNamespace(is_compressed=False))
    return SimpleNamespace(
        file_meta=meta,
        NumberOfFrames=count,
        BitsAllocated=1,
        PixelData=packed,
        SegmentationType="BINARY",
    )


def pack(masks, *, apart):
    if apart:
        return b"".join(
            np.packbits(mask.ravel(), bitorder="little").tobytes() for mask in masks
        )
    return np.packbits(masks.ravel(), bitorder="little").tobytes()


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(1, 12),
    rows=st.integers(1, 9),
    columns=st.integers(1, 9),
    seed=st.integers(0, 99),
    filler=st.sampled_from([b"\0", b"0", b" "]),
)
def test_bits_are_one_run(count, rows, columns, seed, filler):
    masks = np.random.default_rng(seed).integers(0, 2, (count, rows, columns))
    packed = pack(masks.astype(np.uint8), apart=False)
    packed += filler * (len(packed) % 2)
    pixels, notes = read_frames(dataset(packed, count), (rows, columns), "a.dcm")
    np.testing.assert_array_equal(pixels, masks)
    assert not notes


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(2, 40),
    rows=st.integers(3, 9),
    columns=st.integers(3, 9),
    seed=st.integers(0, 99),
)
def test_frames_on_whole_bytes_are_told_by_their_length(count, rows, columns, seed):
    masks = np.random.default_rng(seed).integers(0, 2, (count, rows, columns))
    packed = pack(masks.astype(np.uint8), apart=True)
    packed += b"\0" * (len(packed) % 2)
    run = -(-count * rows * columns // 8)
    pixels, notes = read_frames(dataset(packed, count), (rows, columns), "a.dcm")
    if len(packed) > run + run % 2:
        np.testing.assert_array_equal(pixels, masks)
        assert "whole byte" in notes[0].text
    else:
        assert pixels.shape == masks.shape


@settings(max_examples=60, deadline=None)
@given(count=st.integers(1, 5), more=st.sampled_from([-9, -3, 11, 40]))
def test_another_length_is_refused(count, more):
    needed = -(-count * 81 // 8)
    packed = bytes(max(0, needed + more + (needed + more) % 2))
    with pytest.raises(BadLabels, match=f"{len(packed)} bytes"):
        read_frames(dataset(packed, count), (9, 9), "a.dcm")


@pytest.mark.parametrize(("values", "whole"), [([0, 255], True), ([0, 1, 255], False)])
def test_fractions_are_labels_only_where_none_lies_between(values, whole):
    pixels = np.array(values * 9, np.uint8)[:18].reshape(2, 3, 3)
    packed = pixels.tobytes()
    one = dataset(packed, 2)
    one.BitsAllocated, one.SegmentationType = 8, "FRACTIONAL"
    one.pixel_array, one.get = pixels, {"MaximumFractionalValue": 255}.get
    if whole:
        found, notes = read_frames(one, (3, 3), "a.dcm")
        np.testing.assert_array_equal(found, pixels)
        assert "fractions" in notes[0].text
    else:
        with pytest.raises(BadLabels, match="such as 1 of 255"):
            read_frames(one, (3, 3), "a.dcm")
