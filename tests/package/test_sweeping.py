"""What killed processes left unfinished goes at the next start; all else stays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scanlearn.files import sweep, unfinished, written_beside

KILLED = """
import os, signal, sys
from pathlib import Path
from scanlearn.files import folder_beside, written_beside
here = Path(sys.argv[1])
with written_beside(here / "model.json") as one, folder_beside(here / "best") as two:
    one.write_text("half")
    two.mkdir()
    (two / "state.pt").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")
def test_the_halves_of_a_killed_process_go(tmp_path: Path) -> None:
    inside = tmp_path / "run" / "checkpoints"
    subprocess.run([sys.executable, "-c", KILLED, inside], check=False)
    assert len(list(inside.iterdir())) == 2
    sweep(tmp_path / "run")
    assert len(list(inside.iterdir())) == 2
    sweep(tmp_path / "run", deep=True)
    assert list(inside.iterdir()) == []


def test_what_is_being_written_or_is_a_users_own_stays(tmp_path: Path) -> None:
    own = [".x.part.nii", ".part.nii", "a.1.part.nii", ".12.party"]
    for name in own:
        (tmp_path / name).touch()
    with written_beside(tmp_path / "mine.txt") as beside:
        beside.write_text("whole")
        parent = unfinished(tmp_path / "theirs.txt").name.replace(
            str(os.getpid()), str(os.getppid())
        )
        (tmp_path / parent).touch()
        sweep(tmp_path, deep=True)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*own, "mine.txt", parent}
