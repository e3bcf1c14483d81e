"""Pseudonymous keys: the same patient has the same key, nobody can turn it back.

A key is a keyed hash (HMAC-SHA256) of an identity. The salt is made once on each
installation and copied into the ``private`` folder of every cohort made there, so that
a patient who is in two cohorts can be seen to be.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from scanlearn.errors import BadCohort

_PATIENT_DIGITS = 10
_SCAN_DIGITS = 6
_SALT_BYTES = 32


def patient_key(identity: str, salt: bytes) -> str:
    """Return ``"P-"`` and ten hexadecimal digits for the identity of a patient."""
    return f"P-{keyed_hash(identity, salt, stream='patient')[:_PATIENT_DIGITS]}"


def scan_key(patient: str, identity: str, salt: bytes, *, longer: int = 0) -> str:
    """Return the key of a scan: its patient's key and digits for its source.

    Parameters
    ----------
    patient
        The patient's key.
    identity
        What tells the scan from the patient's others: a series UID or a path.
    salt
        The cohort's.
    longer
        More digits, where two scans would share a key.
    """
    digits = keyed_hash(identity, salt, stream="scan")[: _SCAN_DIGITS + longer]
    return f"{patient}-{digits}"


def keyed_hash(text: str | bytes, salt: bytes, *, stream: str) -> str:
    """Return the hexadecimal HMAC-SHA256 of a text, apart for each stream."""
    data = text.encode() if isinstance(text, str) else text
    return hmac.new(salt, stream.encode() + b"\0" + data, hashlib.sha256).hexdigest()


def settings_folder() -> Path:
    """Return the user's settings folder: ``$SCANLEARN_HOME`` or the system's choice."""
    from platformdirs import user_config_path

    home = os.environ.get("SCANLEARN_HOME")
    return Path(home) if home else user_config_path("scanlearn", appauthor=False)


def installation_salt() -> bytes:
    """Return this installation's salt; the first call makes it."""
    path = settings_folder() / "salt"
    if path.exists():
        return read_salt(path)
    return _salt_in(path, secrets.token_bytes(_SALT_BYTES))


def cohort_salt(private: Path) -> bytes:
    """Return the salt in a cohort's private folder; a new cohort copies ours."""
    path = private / "salt"
    return read_salt(path) if path.exists() else _salt_in(path, installation_salt())


def read_salt(path: Path) -> bytes:
    """Read a salt.

    Raises
    ------
    BadCohort
        If the file is missing or holds no salt.
    """
    try:
        salt = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except (OSError, ValueError) as problem:
        raise BadCohort(
            f"{path} cannot be read as a salt ({problem})",
            expected="a line of hexadecimal digits",
            next_step="Restore it from a backup; without it no scan can be added.",
        ) from None
    if len(salt) < 16:
        raise BadCohort(
            f"{path} holds a salt of {len(salt)} bytes", expected="16 bytes or more"
        )
    return salt


def _salt_in(path: Path, fresh: bytes) -> bytes:
    """Read the salt in a file; write a fresh one if there is none yet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}-{os.getpid()}-{secrets.token_hex(4)}")
    descriptor = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as stream:
        stream.write(fresh.hex() + "\n")
    try:
        # A link fails where another process was first; its salt is the one that counts.
        os.link(beside, path)
    except FileExistsError:
        pass
    except OSError:
        # File systems without links: the last writer of the first second wins.
        if not path.exists():
            os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
    return read_salt(path)
