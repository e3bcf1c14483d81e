"""A worker in miniature: tells a run's story from a process of its own, no torch."""

from __future__ import annotations

import os
import sys
import time

from scanlearn.runs.events import (
    Crashed,
    Epoch,
    Event,
    Finished,
    Health,
    Saved,
    Started,
    Step,
    Stopped,
)
from scanlearn.runs.folder import EventLog, RunFolder

STEPS = int(os.environ.get("SMALL_WORKER_STEPS", "30"))

CRASHES = os.environ.get("SMALL_WORKER_CRASHES", "")


def main() -> None:
    run = RunFolder(sys.argv[1])
    run.claim({})
    log = EventLog(run)
    log.write(Started(steps=STEPS, device="cpu"))
    last = _train(run, log)
    model = run.checkpoints / "last"
    model.mkdir(exist_ok=True)
    (model / "model.txt").write_text("learned")
    log.write(Saved(step=STEPS, name="last"))
    log.write(last)


def _train(run: RunFolder, log: EventLog) -> Event:
    for step in range(1, STEPS + 1):
        time.sleep(0.02)
        loss = 1 / step
        log.write(Step(step=step, values={"loss": loss}, seconds_left=STEPS - step))
        if step == 5:
            log.write(Health(step=step, light="green", sentence="It learns."))
            log.write(Epoch(step=step, values={"dice": 0.5}, best=True))
        if step == 8 and CRASHES == "mendable":
            return Crashed(error="Memory ran out. Lower 'batch'.", mendable=True)
        if step == 8 and CRASHES:
            return Crashed(error="Memory ran out", details="a long report")
        if run.stop_file.exists():
            return Stopped(step=step, reason="asked for")
    return Finished(step=STEPS)


main()
