"""The one kind of error a user sees: what was found, what was expected, what to do."""

from __future__ import annotations


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


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _rebuild(
    kind: type[ScanlearnError], found: str, expected: str, next_step: str
) -> ScanlearnError:
    return kind(found, expected=expected, next_step=next_step)
