"""The story of a run: one line of ``events.jsonl`` is one event."""

import time
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Event(BaseModel):
    # Unknown keys are let through: a newer worker may say more than this viewer knows.
    model_config = ConfigDict(frozen=True, extra="ignore")
    time: float = Field(default_factory=time.time)


class Started(_Event):
    """The worker has begun, or begun again."""

    kind: Literal["started"] = "started"
    steps: int
    step: int = 0
    #: How often all data are seen in these steps, where that is counted.
    passes: float | None = None
    device: str = "cpu"
    precision: str = "no"


class Step(_Event):
    """Values of the curve at one step; ``seconds_left`` is an estimate."""

    kind: Literal["step"] = "step"
    step: int
    values: dict[str, float]
    seconds_left: float | None = None


class Epoch(_Event):
    """A validation: metrics on held-out scans."""

    kind: Literal["epoch"] = "epoch"
    step: int
    values: dict[str, float]
    best: bool = False


class Health(_Event):
    """Whether the training is learning something, in one light and one sentence."""

    kind: Literal["health"] = "health"
    step: int
    light: Literal["green", "amber", "red"]
    sentence: str
    values: dict[str, float] = {}


class Saved(_Event):
    """A checkpoint is complete on disk."""

    kind: Literal["saved"] = "saved"
    step: int
    name: str


class Preview(_Event):
    """A picture or table under ``previews/`` is ready."""

    kind: Literal["preview"] = "preview"
    step: int
    file: str
    caption: str = ""


class Message(_Event):
    """Something the user should read."""

    kind: Literal["message"] = "message"
    text: str
    severity: Literal["note", "warning"] = "note"


class Finished(_Event):
    """All steps are done."""

    kind: Literal["finished"] = "finished"
    step: int
    values: dict[str, float] = {}


class Stopped(_Event):
    """A stop was asked for, and a usable model was saved."""

    kind: Literal["stopped"] = "stopped"
    step: int
    reason: str = ""


class Crashed(_Event):
    """The worker failed; ``details`` is for a bug report.

    ``mendable`` says that ``error`` names something the user can put right;
    ``diverged`` that its numbers ran away, of which its settings may be the cause.
    """

    kind: Literal["crashed"] = "crashed"
    error: str
    mendable: bool = False
    diverged: bool = False
    details: str = ""


Event = Annotated[
    Started
    | Step
    | Epoch
    | Health
    | Saved
    | Preview
    | Message
    | Finished
    | Stopped
    | Crashed,
    Field(discriminator="kind"),
]

#: After one of these a worker says nothing more.
LAST_WORDS = (Finished, Stopped, Crashed)

_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)


def parse_event(line: str | bytes) -> Event:
    """Read one line of ``events.jsonl``."""
    return _ADAPTER.validate_json(line)
