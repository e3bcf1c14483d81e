"""Documents that would take the memory or the day are refused, within stated bounds."""

from __future__ import annotations

import json
import time
import tracemalloc

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from scanlearn.config.run import parse_settings
from scanlearn.documents import MOST_INTEGER, parse_json, parse_yaml, read_text
from scanlearn.errors import BadConfig

MOST_SECONDS, MOST_BYTES = 5.0, 100_000_000

_LAUGHS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
)

YAML = {
    "aliases": (_LAUGHS, "alias"),
    "merged aliases": ("a: &a {b: 1}\nc: {<<: *a}", "alias"),
    "depth": ("[" * 100_000, "levels deep"),
    "depth in blocks": ("- " * 100_000 + "x", "levels deep"),
    "depth of mappings": ("{a: " * 100_000, "levels deep"),
    "a number of 5,000 digits": ("a: " + "9" * 5_000, "5000 digits"),
    "a number of 100,000 hexadecimal digits": ("a: 0x" + "f" * 100_000, "digits"),
    "a number in base 60": ("a: 1" + ":59" * 20_000, "digits"),
    "a number too large for others": (f"a: {MOST_INTEGER + 1}", "too large"),
    "length": ("# " + "x" * 1_000_000, "characters"),
    "code": ("!!python/object/apply:os.system [ls]", "could not determine"),
    "a date that is none": ("a: 2026-13-45", "month"),
    "two documents": ("a: 1\n---\nb: 2", "expected a single document"),
}


@pytest.mark.parametrize("name", YAML)
def test_yaml_beyond_the_bounds_is_refused_at_once(name):
    text, why = YAML[name]
    tracemalloc.start()
    begun = time.process_time()
    with pytest.raises(ValueError, match=why) as found:
        parse_yaml(text)
    seconds, (_, peak) = time.process_time() - begun, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert seconds < MOST_SECONDS
    assert peak < MOST_BYTES
    assert len(str(found.value)) < 500


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[" * 1_000_000, "too deep"),
        ('{"a":' * 1_000_000, "too deep"),
        ("9" * 1_000_000, "1000000 digits"),
        ("", "Expecting value"),
    ],
)
def test_json_beyond_the_bounds_is_refused_at_once(text, why):
    begun = time.process_time()
    with pytest.raises(ValueError, match=why):
        parse_json(text)
    assert time.process_time() - begun < MOST_SECONDS


_PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MOST_INTEGER, MOST_INTEGER)
    | st.floats(allow_nan=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(_PLAIN)
def test_everything_else_is_read_as_by_the_libraries(value):
    as_yaml, as_json = yaml.safe_dump(value), json.dumps(value)
    assert parse_yaml(as_yaml) == yaml.safe_load(as_yaml)
    assert parse_json(as_json) == json.loads(as_json)


def test_a_file_larger_than_any_document_is_not_read(tmp_path):
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(10_000_000_000)  # sparse: it takes no room
    with pytest.raises(ValueError, match="10,000 MB"):
        read_text(tmp_path / "large.json")


@pytest.mark.parametrize("value", ["9" * 5000, "2026-13-45", "[" * 5000, "*a"])
def test_a_setting_beyond_the_bounds_is_told(value):
    with pytest.raises(BadConfig, match="cannot be read"):
        parse_settings([f"batch={value}"])
