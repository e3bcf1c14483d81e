"""Signals ask once; the second time they do what they always do."""

from __future__ import annotations

import signal
import sys
import threading

import pytest

from scanlearn.runs.signals import signals_noted

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="Windows cannot raise these"
)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_signal_is_noted_and_the_handler_comes_back(name: str) -> None:
    number = getattr(signal, name)
    seen: list[int] = []
    before = signal.signal(number, lambda caught, _: seen.append(caught))
    try:
        own = signal.getsignal(number)
        with signals_noted() as asked:
            assert not asked()
            signal.raise_signal(number)
            assert asked()
            assert seen == []
            signal.raise_signal(number)
            assert seen == [number]
        assert signal.getsignal(number) is own
    finally:
        signal.signal(number, before)


def test_what_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_noted() as asked:
            signal.raise_signal(signal.SIGHUP)
            assert not asked()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_are_never_asked() -> None:
    found: list[bool] = []

    def enter() -> None:
        with signals_noted() as asked:
            found.append(asked())

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [False]
