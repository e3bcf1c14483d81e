"""Stored values of any kind become the values they stand for."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from scanlearn.errors import BadScan
from scanlearn.scans.dicom.tags import read_numbers
from scanlearn.scans.find import find_scans
from scanlearn.scans.read import read_scan


def codes(scan) -> list[str]:
    return [problem.code for problem in scan.problems]


def test_every_slice_has_its_own_scale(
    tmp_path, write_series, stored_volume, even_positions
):
    write_series(
        tmp_path,
        stored_volume,
        even_positions,
        tags_of=lambda k: {"RescaleSlope": str(0.5 + k), "RescaleIntercept": str(k)},
    )
    scan = read_scan(tmp_path)
    k = np.arange(6)[:, None, None]
    assert scan.voxels.dtype == np.float32
    np.testing.assert_array_equal(scan.voxels, stored_volume * (0.5 + k) + k)


def test_whole_slopes_stay_whole(tmp_path, write_series, even_positions):
    stored = np.arange(-54, 54, dtype=np.int16).reshape(6, 3, 6)
    write_series(tmp_path, stored, even_positions, RescaleSlope=-2, RescaleIntercept=5)
    scan = read_scan(tmp_path)
    assert scan.voxels.dtype == np.int16
    np.testing.assert_array_equal(scan.voxels, stored * -2 + 5)


def test_values_beyond_int16_become_float32(tmp_path, write_series, even_positions):
    stored = np.full((6, 3, 4), 65535, np.uint16)
    write_series(tmp_path, stored, even_positions)
    scan = read_scan(tmp_path)
    assert scan.voxels.dtype == np.float32
    assert (scan.voxels == 65535 - 1024).all()


def test_large_unsigned_values_that_fit_stay_int16(
    tmp_path, write_series, even_positions
):
    stored = np.full((6, 3, 4), 33000, np.uint16)
    write_series(tmp_path, stored, even_positions)
    scan = read_scan(tmp_path)
    assert scan.voxels.dtype == np.int16
    assert (scan.voxels == 33000 - 1024).all()


@pytest.mark.parametrize("kind", ["u", "i"])
def test_bits_above_those_stored_are_cleared(
    tmp_path, write_series, even_positions, kind
):
    values = np.arange(72).reshape(6, 3, 4) - (36 if kind == "i" else 0)
    dirty = (values & 0x0FFF) | 0xA000
    stored = dirty.astype(np.uint16).view(f"{kind}2")
    write_series(tmp_path, stored, even_positions, BitsStored=12)
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, values - 1024)


def test_padding_is_kept_and_noted(tmp_path, write_series, even_positions):
    stored = np.zeros((6, 3, 4), np.int16)
    stored[:, 0, 0] = -2000
    write_series(tmp_path, stored, even_positions, PixelPaddingValue=-2000)
    scan = read_scan(tmp_path)
    assert scan.voxels[0, 0, 0] == -3024
    assert "-3024" in scan.problems[0].text


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
def test_other_transfer_syntaxes(
    tmp_path, write_series, stored_volume, even_positions, syntax
):
    for path in write_series(tmp_path, stored_volume, even_positions):
        dataset = pydicom.dcmread(path)
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()
        dataset.file_meta.TransferSyntaxUID = syntax
        pydicom.dcmwrite(
            path,
            dataset,
            enforce_file_format=True,
        )
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.voxels, stored_volume.astype(int) - 1024)


def test_a_file_without_preamble(tmp_path, slice_of, stored_volume):
    dataset = slice_of(stored_volume[0], (1, 2, 3))
    dataset.preamble = None
    del dataset.file_meta
    path = tmp_path / "old"
    dataset.save_as(path, implicit_vr=True, little_endian=True)
    scan = read_scan(path)
    np.testing.assert_array_equal(scan.voxels[0], stored_volume[0].astype(int) - 1024)
    assert codes(scan) == ["single_slice"]
    assert not scan.is_radiograph


def test_monochrome1_turns_radiographs_only(
    tmp_path, write_series, save_slice, slice_of, stored_volume, even_positions
):
    tags = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12}
    write_series(tmp_path / "ct", stored_volume, even_positions, **tags)
    scan = read_scan(tmp_path / "ct")
    np.testing.assert_array_equal(scan.voxels, stored_volume.astype(int) - 1024)
    assert codes(scan) == ["monochrome1"]
    chest = slice_of(
        stored_volume[0],
        (0, 0, 0),
        **tags,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1",
        Modality="DX",
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        PixelSpacing=None,
        ImagerPixelSpacing=[0.15, 0.14],
        RescaleSlope=None,
        RescaleIntercept=None,
    )
    scan = read_scan(save_slice(chest, tmp_path / "dx" / "a.dcm"))
    np.testing.assert_array_equal(scan.voxels[0], 4095 - stored_volume[0].astype(int))
    assert scan.is_radiograph
    assert scan.grid.is_canonical
    assert scan.grid.spacing_mm[1:] == (0.15, 0.14)


def test_radiographs_of_one_series_stay_apart(
    tmp_path, write_series, stored_volume, even_positions
):
    # Computed radiography: its class, and no place in the patient.
    tags = {
        "Modality": "CR",
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1",
        "ImagePositionPatient": None,
        "ImageOrientationPatient": None,
    }
    write_series(tmp_path, stored_volume, even_positions, **tags)
    assert [e.shape for e in find_scans(tmp_path)] == [(1, 9, 11)] * 6


def test_a_ct_without_scale_is_reported(
    tmp_path, write_series, stored_volume, even_positions
):
    none = {"RescaleSlope": None, "RescaleIntercept": None}
    write_series(tmp_path, stored_volume, even_positions, **none)
    scan = read_scan(tmp_path)
    assert scan.acquisition.units == "arbitrary"
    assert codes(scan) == ["units"]


few = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def spelled(path, name: str, text: str) -> None:
    """Write a text into a numeric tag as it is, whatever pydicom thinks of it."""
    dataset = pydicom.dcmread(path)
    mark = "0" * len(text)
    tag = pydicom.tag.Tag(name)
    dataset[tag] = pydicom.dataelem.DataElement(tag, "LO", mark)
    dataset.save_as(path)
    whole = path.read_bytes()
    assert whole.count(b"LO" + len(mark + "0" * (len(mark) % 2)).to_bytes(2, "little"))
    at = whole.index(mark.encode(), whole.index(tag_bytes(tag)))
    path.write_bytes(whole[:at] + text.encode() + whole[at + len(text) :])


def tag_bytes(tag) -> bytes:
    return tag.group.to_bytes(2, "little") + tag.element.to_bytes(2, "little")


@given(
    numbers=st.lists(
        st.floats(-1e6, 1e6).map(lambda x: round(x, 4)), min_size=1, max_size=6
    ),
    comma=st.booleans(),
    blanks=st.booleans(),
)
def test_numbers_are_read_however_they_are_spelled(numbers, comma, blanks):
    texts = [f"{x:.4f}" for x in numbers]
    if comma:
        texts = [text.replace(".", ",") for text in texts]
    if blanks:
        texts = [f" {text} " for text in texts]
    assert read_numbers("\\".join(texts), len(numbers)) == tuple(map(float, numbers))
    assert read_numbers("\\".join(texts), len(numbers) + 1) == ()


@pytest.mark.parametrize(
    ("text", "count", "expected"),
    [
        ("0.7,0.8", 2, (0.7, 0.8)),
        ("1,0,0,0,1,0", 6, (1, 0, 0, 0, 1, 0)),
        ("-14.5,2,3e1", 3, (-14.5, 2, 30)),
        ("1,5", 2, ()),  # one number or two: nobody knows
        ("1,5", 1, (1.5,)),
        ("1.234,5", 1, ()),
        ("1,234,5", 1, ()),
        ("1_0", 1, ()),
        ("nan", 1, ()),
        ("inf", 1, ()),
        ("0.5 mm", 1, ()),
        ("1d3", 1, ()),
    ],
)
def test_spellings_that_mean_one_thing_or_none(text, count, expected):
    assert read_numbers(text, count) == expected


@few
@given(
    slope=st.sampled_from(["0.5", "0,5", ",5", "5e-1", "+0,50"]),
    intercept=st.sampled_from(["-1024", "-1024,0", "-1024.", "-1,024E3"]),
)
def test_spelled_rescales(tmp_path, save_slice, slice_of, slope, intercept):
    stored = np.arange(99, dtype=np.uint16).reshape(9, 11)
    path = save_slice(slice_of(stored, (0, 0, 0)), tmp_path / "a.dcm")
    spelled(path, "RescaleSlope", slope)
    spelled(path, "RescaleIntercept", intercept)
    np.testing.assert_array_equal(read_scan(path).voxels[0], stored * 0.5 - 1024)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("RescaleSlope", "one", r"no rescale slope that can be read \('one'\)"),
        ("RescaleIntercept", "1.024,0", "no rescale intercept that can be read"),
        ("PixelSpacing", "0,7;0,8", "no pixel spacing that can be read"),
        ("PixelSpacing", "0.7", "no pixel spacing that can be read"),
        ("ImagePositionPatient", "1\\2\\x", "no position that can be read"),
        ("ImageOrientationPatient", "1\\0\\0", "no orientation that can be read"),
    ],
)
@pytest.mark.parametrize("bad", [0, 5])
def test_one_slice_with_an_unreadable_number_stops_its_series(
    tmp_path, write_series, stored_volume, even_positions, name, text, message, bad
):
    paths = write_series(tmp_path, stored_volume, even_positions)
    spelled(paths[bad], name, text)
    with pytest.raises(BadScan, match=message) as caught:
        read_scan(tmp_path)
    assert paths[bad].name in str(caught.value)
    assert "correct the header" in str(caught.value)


@few
@given(bits=st.integers(8, 16), shift=st.integers(0, 8), signed=st.booleans())
def test_bits_lie_where_the_header_says(
    tmp_path, save_slice, slice_of, bits, shift, signed
):
    shift = min(shift, 16 - bits)
    low = -(1 << (bits - 1)) if signed else 0
    values = np.random.default_rng(bits).integers(low, low + (1 << bits), (9, 11))
    stored = (values << shift).astype(np.uint16)
    dtype = np.int16 if signed else np.uint16
    tags = {"BitsStored": bits, "HighBit": bits + shift - 1, "RescaleIntercept": 0}
    dataset = slice_of(stored.view(dtype), (0, 0, 0), **tags)
    scan = read_scan(save_slice(dataset, tmp_path / "a.dcm"))
    np.testing.assert_array_equal(scan.voxels[0], values)


def test_bits_of_compressed_values(tmp_path, write_series, even_positions):
    values = np.random.default_rng(3).integers(0, 4096, (6, 16, 16))
    stored = (values << 4).astype(np.uint16)
    tags = {"BitsStored": 12, "HighBit": 15}
    for path in write_series(tmp_path, stored, even_positions, **tags):
        dataset = pydicom.dcmread(path)
        dataset.BitsStored = 16  # or the encoder refuses the bits above
        dataset.compress(pydicom.uid.RLELossless, encoding_plugin="pydicom")
        dataset.BitsStored = 12
        dataset.save_as(path)
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, values - 1024)


def test_high_bits_that_cannot_be_are_refused(tmp_path, save_slice, slice_of):
    stored = np.full((9, 11), 0x0FF7, np.uint16)
    path = tmp_path / "odd.dcm"
    save_slice(slice_of(stored, (0, 0, 0), BitsStored=12, HighBit=15), path)
    with pytest.raises(BadScan, match="the bits below them are used, too"):
        read_scan(path)
    save_slice(slice_of(stored, (0, 0, 0), BitsStored=12, HighBit=7), path)
    with pytest.raises(BadScan, match="states high bit 7 of 12 stored bits"):
        read_scan(path)


@few
@given(
    first=st.integers(-20, 40),
    count=st.integers(40, 120),
    signed=st.booleans(),
    width=st.sampled_from([8, 16]),
)
def test_modality_tables_are_applied(
    tmp_path, save_slice, slice_of, item, first, count, signed, width
):
    first = first if signed else abs(first)
    stored = np.arange(-20 if signed else 0, 79 if signed else 99).reshape(9, 11)
    entries = np.random.default_rng(count).integers(0, 1 << width, count)
    dataset = slice_of(
        stored.astype(np.int16 if signed else np.uint16),
        (0, 0, 0),
        RescaleSlope=None,
        RescaleIntercept=None,
    )
    table = item(ModalityLUTType="US")
    table[0].add_new("LUTDescriptor", "SS" if signed else "US", [count, first, width])
    words = entries.astype(np.uint8 if width == 8 else np.uint16).tobytes()
    table[0].add_new("LUTData", "OW", words + b"\0" * (len(words) % 2))
    dataset.ModalityLUTSequence = table
    scan = read_scan(save_slice(dataset, tmp_path / "a.dcm"))
    expected = entries[np.clip(stored - first, 0, count - 1)]
    np.testing.assert_array_equal(scan.voxels[0], expected)


def test_tables_that_are_short_or_doubled_are_refused(
    tmp_path, save_slice, slice_of, item, stored_volume
):
    table = item(ModalityLUTType="US")
    table[0].add_new("LUTDescriptor", "US", [4096, 0, 16])
    table[0].add_new("LUTData", "OW", b"\1\0" * 4000)
    dataset = slice_of(stored_volume[0], (0, 0, 0), ModalityLUTSequence=table)
    path = save_slice(dataset, tmp_path / "a.dcm")
    with pytest.raises(BadScan, match="a modality LUT that cannot be read"):
        read_scan(path)
    table[0]["LUTData"].value = b"\1\0" * 4096
    save_slice(dataset, path)
    with pytest.raises(BadScan, match="both a modality LUT and a rescale slope"):
        read_scan(path)


@pytest.mark.parametrize("modality", ["CT", "MR", "PT"])
def test_slices_without_a_rescale_among_others_are_refused(
    tmp_path, write_series, stored_volume, even_positions, modality
):
    none = {"RescaleSlope": None, "RescaleIntercept": None}
    write_series(
        tmp_path,
        stored_volume,
        even_positions,
        Modality=modality,
        tags_of=lambda k: none if k in (1, 5) else {},
    )
    with pytest.raises(BadScan, match=r"2 of 6 slices state no rescale.*s001\.dcm"):
        read_scan(tmp_path)


def test_several_scales_of_a_ct_are_told(
    tmp_path, write_series, stored_volume, even_positions
):
    write_series(
        tmp_path,
        stored_volume,
        even_positions,
        tags_of=lambda k: {"RescaleIntercept": -1024 if k < 3 else 0},
    )
    scan = read_scan(tmp_path)
    shift = np.where(np.arange(6) < 3, -1024, 0)[:, None, None]
    np.testing.assert_array_equal(scan.voxels, stored_volume + shift)
    [problem] = scan.problems
    assert (problem.code, problem.severity) == ("rescale_differs", "warning")
    assert "1 and -1024; 1 and 0" in problem.text


def test_a_slope_of_zero_is_told(tmp_path, save_slice, slice_of, stored_volume):
    dataset = slice_of(stored_volume[0], (0, 0, 0), RescaleSlope=0)
    scan = read_scan(save_slice(dataset, tmp_path / "a.dcm"))
    assert "a rescale slope of 0; 1 was taken" in scan.problems[0].text
    np.testing.assert_array_equal(scan.voxels[0], stored_volume[0].astype(int) - 1024)


def test_negative_values_without_a_sign_are_told(
    tmp_path, write_series, even_positions
):
    values = np.full((6, 3, 4), -2048, np.int16)
    tags = {"RescaleIntercept": 0}
    write_series(tmp_path, values.view(np.uint16), even_positions, **tags)
    scan = read_scan(tmp_path)
    assert (scan.voxels == 63488).all()
    assert codes(scan) == ["not-hu"]
    assert "without a sign" in scan.problems[0].text


@pytest.mark.parametrize("kind", ["", "jpeg lossless", "jpeg-ls", "jpeg 2000", "rle"])
@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_monochrome1_volumes_are_never_turned(
    tmp_path, write_series, compress, even_positions, kind, modality
):
    values = np.random.default_rng(5).integers(0, 4096, (6, 16, 16)).astype(np.uint16)
    tags = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12}
    if modality == "MR":
        tags |= {"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}
    for path in write_series(tmp_path, values, even_positions, **tags):
        if kind:
            compress(path, kind)
    np.testing.assert_array_equal(read_scan(tmp_path).voxels, values.astype(int) - 1024)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("shape", ["INVERSE", "IDENTITY", None])
def test_radiographs_are_turned_once(
    tmp_path, save_slice, slice_of, stored_volume, photometric, shape
):
    dataset = slice_of(
        stored_volume[0],
        (0, 0, 0),
        SOPClassUID="1.2.840.10008.5.1.4.1.1.1.1",
        Modality="DX",
        ImagePositionPatient=None,
        ImageOrientationPatient=None,
        BitsStored=12,
        RescaleIntercept=0,
        PhotometricInterpretation=photometric,
        PresentationLUTShape=shape,
    )
    scan = read_scan(save_slice(dataset, tmp_path / "a.dcm"))
    is_turned = photometric == "MONOCHROME1" or shape == "INVERSE"
    stored = stored_volume[0].astype(int)
    np.testing.assert_array_equal(
        scan.voxels[0], 4095 - stored if is_turned else stored
    )
    assert codes(scan) == (["monochrome1"] if is_turned else [])
