"""Trains runs one after another as one of several processes; told by torchrun's words.

``python two_processes.py RUN...`` with RANK, WORLD_SIZE and the like set: opening torch
takes longer than all these trainings together.
"""

import sys

from scanlearn.runs.events import Crashed
from scanlearn.runs.folder import RunFolder
from scanlearn.worker import train_run

for path in sys.argv[1:]:
    for event in train_run(RunFolder(path)):
        if isinstance(event, Crashed):
            sys.stderr.write(f"{path}: {event.details}\n")
            sys.exit(1)
