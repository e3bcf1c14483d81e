"""A run: one training as a folder, its events, and the process that does it."""

from scanlearn.runs.events import Event
from scanlearn.runs.folder import RunFolder, find_runs
from scanlearn.runs.follow import follow
from scanlearn.runs.jobs import Job
from scanlearn.runs.launch import launch

__all__ = ["Event", "Job", "RunFolder", "find_runs", "follow", "launch"]
