"""The one kind of error a user sees: what was found, what was expected, what to do."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator


class ScanlearnError(Exception):
    """A problem the user can act on; every door shows its three parts.

    Parameters
    ----------
    found
        What was found, naming the file or setting.
    expected
        What would have been right.
    next_step
        What the user can do now.
    """

    def __init__(self, found: str, *, expected: str = "", next_step: str = "") -> None:
        self.found = found
        self.expected = expected
        self.next_step = next_step
        super().__init__(str(self))

    def __str__(self) -> str:
        parts = [_sentence(self.found)]
        if self.expected:
            parts.append(_sentence(f"Expected {self.expected}"))
        if self.next_step:
            parts.append(_sentence(self.next_step))
        return " ".join(parts)

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders when scans are prepared in parallel.
        return (_rebuild, (type(self), self.found, self.expected, self.next_step))


class BadScan(ScanlearnError):
    """A file or series that cannot be read as a scan."""


class BadLabels(ScanlearnError):
    """Labels that do not fit their scan, their table or their task."""


class BadRun(ScanlearnError):
    """A folder that is no run, or a run in the wrong state for what was asked."""


class BadCohort(ScanlearnError):
    """A folder that is no cohort, or a cohort unfit for what was asked."""


class BadConfig(ScanlearnError):
    """A setting that does not exist or has an impossible value."""


class TooNew(ScanlearnError):
    """A file that a newer version wrote in a way that this one does not know."""


class BadPlace(ScanlearnError):
    """A file, folder, disk or machine that does not allow what was asked."""


class Diverged(ScanlearnError):
    """A training whose numbers ran away: nobody's mistake, but its end."""


def of_the_world(error: BaseException) -> ScanlearnError | None:
    """Return what a user can do about an error of the system; None for our own faults.

    No right to read or write, a full disk, names too long, too little memory and the
    like come from any library and at any depth, so the doors alone translate them.
    """
    for one in _causes(error):
        if isinstance(one, ScanlearnError):
            return one
        if isinstance(one, MemoryError):
            return BadPlace(f"the memory is too small: {one}", next_step=_MEMORY)
        code = _code(one)
        if code in _WORLD:
            what, next_step = _WORLD[code]
            return BadPlace(f"{_place(one)}{what}", next_step=next_step)
        if type(one) is OSError:
            return BadPlace(f"{_place(one)}{one.strerror or one}", next_step=_DISK)
    return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _code(error: BaseException) -> int | None:
    """Return the system's number of an error; libraries may only quote its words."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    text = str(error)
    if re.search(r"\d requested and \d+ written", text):  # NumPy's words
        return errno.ENOSPC
    return next((code for code in _QUOTED if os.strerror(code) in text), None)


def _place(error: BaseException) -> str:
    name = getattr(error, "filename", None)
    if name is None:
        return ""
    # What is written beside its place is told by its own name.
    return re.sub(r"\.\d+\.part\.", "", os.fsdecode(name)) + ": "


_RIGHTS = "Choose another place, or ask for the right to read or write there"
_SPACE = "Make room or choose another disk, then try again"
_NAME = "Choose a shorter or another name"
_DISK = "Check the disk or the network, then try again"
_MEMORY = "Close other programs, or use a machine with more memory"

_WORLD = {
    errno.EACCES: ("no permission", _RIGHTS),
    errno.EPERM: ("no permission", _RIGHTS),
    errno.EROFS: ("the disk is read-only", "Choose a place on another disk"),
    errno.ENOSPC: ("the disk is full", _SPACE),
    errno.EDQUOT: ("the disk quota is used up", _SPACE),
    errno.EFBIG: ("the file would be larger than is allowed", _SPACE),
    errno.ENAMETOOLONG: ("the name is too long", _NAME),
    errno.EILSEQ: ("the disk does not take this name", _NAME),
    errno.ELOOP: ("the link leads back to itself", "Repair the link"),
    errno.ENOENT: ("does not exist", "Check the path"),
    errno.EEXIST: ("is there already", "Choose another name, or remove it"),
    errno.ENOTDIR: ("a part of this path is a file, not a folder", _NAME),
    errno.EISDIR: ("is a folder where a file was expected", _NAME),
    errno.ENOTEMPTY: ("another program writes into it", _DISK),
    errno.EBUSY: ("another program uses it", "Close that program and try again"),
    errno.ENOMEM: ("the memory is too small", _MEMORY),
    errno.EMFILE: ("too many files are open", "Close other programs and try again"),
    errno.ENFILE: ("too many files are open", "Close other programs and try again"),
    errno.EIO: ("the disk cannot be read or written", _DISK),
    errno.ESTALE: ("the network disk has gone", _DISK),
    errno.ETIMEDOUT: ("the network disk does not answer", _DISK),
    errno.ENODEV: ("the disk has gone", _DISK),
    errno.ENXIO: ("the disk has gone", _DISK),
}

#: Told by libraries that are not written in Python in words alone.
_QUOTED = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES)


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _rebuild(
    kind: type[ScanlearnError], found: str, expected: str, next_step: str
) -> ScanlearnError:
    return kind(found, expected=expected, next_step=next_step)
