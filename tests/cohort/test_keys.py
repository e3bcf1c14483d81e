"""Keys: stable, salted, and no way back."""

from __future__ import annotations

import re
import stat
import threading
from pathlib import Path

import pytest

from scanlearn.cohort.keys import (
    cohort_salt,
    installation_salt,
    patient_key,
    read_salt,
    scan_key,
)
from scanlearn.errors import BadCohort

SALT = b"s" * 32


def test_keys_depend_on_identity_and_salt_only() -> None:
    key = patient_key("DOE^JANE", SALT)
    assert re.fullmatch(r"P-[0-9a-f]{10}", key)
    assert key == patient_key("DOE^JANE", SALT)
    assert key != patient_key("DOE^JOHN", SALT)
    assert key != patient_key("DOE^JANE", b"t" * 32)
    scan = scan_key(key, "1.2.3", SALT)
    assert re.fullmatch(rf"{key}-[0-9a-f]{{6}}", scan)
    assert scan_key(key, "1.2.3", SALT, longer=6).startswith(scan)
    # A series of the name of a patient does not give the patient's digits away.
    assert scan_key("P-x", "DOE^JANE", SALT)[4:] not in key


def test_a_patient_has_one_key_in_all_cohorts_of_a_machine(tmp_path: Path) -> None:
    first, second = (cohort_salt(tmp_path / name / "private") for name in "ab")
    assert first == second == installation_salt()
    assert len(first) >= 16
    mode = stat.S_IMODE((tmp_path / "a" / "private" / "salt").stat().st_mode)
    assert mode == 0o600


def test_a_cohort_keeps_its_own_salt_on_another_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = cohort_salt(tmp_path / "private")
    monkeypatch.setenv("SCANLEARN_HOME", str(tmp_path / "elsewhere"))
    assert cohort_salt(tmp_path / "private") == before
    assert installation_salt() != before


def test_many_first_calls_at_once_agree() -> None:
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(installation_salt()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


@pytest.mark.parametrize("text", ["", "no salt", "abcd"])
def test_a_damaged_salt_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "salt"
    path.write_text(text)
    with pytest.raises(BadCohort, match="salt"):
        read_salt(path)
    with pytest.raises(BadCohort):
        read_salt(tmp_path / "absent")
