from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from scanlearn.cli import main


@dataclass(frozen=True)
class Answer:
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """The one JSON document on stdout."""
        return json.loads(self.out)

    def told(self) -> str:
        """The one line that a wrong input gets."""
        assert self.status == 2, self.err
        assert self.out == ""
        lines = [line for line in self.err.splitlines() if line.startswith("scanlearn")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


@pytest.fixture
def scanlearn(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Answer]:
    """Return a function that runs a command as a terminal without colours does."""

    def run(*arguments: object) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["scanlearn", *map(str, arguments)])
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            patch.setenv("COLUMNS", "100")
            try:
                main()
                status = 0
            except SystemExit as ended:
                status = int(ended.code or 0)
        return Answer(status, out.getvalue(), err.getvalue())

    return run
