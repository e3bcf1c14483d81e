"""The story of a run: one line of ``events.jsonl`` is one event."""

import math
import reprlib
import time
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
)

from scanlearn.errors import BadRun


def _nan_for_null(value: object) -> object:
    # JSON has no word for what is not a number.
    return math.nan if value is None else value


def _no_infinity(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


#: A number of a curve or a score; null is read as not a number.
Value = Annotated[float, BeforeValidator(_nan_for_null)]

#: A number of steps, no larger than windows can count.
Count = Annotated[int, Field(ge=0, le=2**31 - 1)]

#: A length of time; what never ends is not known.
Seconds = Annotated[float | None, BeforeValidator(_no_infinity)]


class _Event(BaseModel):
    # Unknown keys are let through: a newer worker may say more than this viewer knows.
    model_config = ConfigDict(frozen=True, extra="ignore")
    time: float = Field(default_factory=time.time)


class Started(_Event):
    """The worker has begun, or begun again."""

    kind: Literal["started"] = "started"
    steps: Count
    step: Count = 0
    #: How often all data are seen in these steps, where that is counted.
    passes: float | None = None
    device: str = "cpu"
    precision: str = "no"


class Step(_Event):
    """Values of the curve at one step; ``seconds_left`` is an estimate."""

    kind: Literal["step"] = "step"
    step: Count
    values: dict[str, Value]
    seconds_left: Seconds = None


class Epoch(_Event):
    """A validation: metrics on held-out scans."""

    kind: Literal["epoch"] = "epoch"
    step: Count
    values: dict[str, Value]
    best: bool = False


class Health(_Event):
    """Whether the training is learning something, in one light and one sentence."""

    kind: Literal["health"] = "health"
    step: Count
    light: Literal["green", "amber", "red"]
    sentence: str
    values: dict[str, Value] = {}


class Saved(_Event):
    """A checkpoint is complete on disk."""

    kind: Literal["saved"] = "saved"
    step: Count
    name: str


class Preview(_Event):
    """A picture or table under ``previews/`` is ready."""

    kind: Literal["preview"] = "preview"
    step: Count
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
    step: Count
    values: dict[str, Value] = {}


class Stopped(_Event):
    """A stop was asked for, and a usable model was saved."""

    kind: Literal["stopped"] = "stopped"
    step: Count
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


class Unknown(_Event):
    """Something that only a newer version knows; passed over."""

    kind: str


_Known = Annotated[
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

Event = _Known | Unknown

#: After one of these a worker says nothing more.
LAST_WORDS = (Finished, Stopped, Crashed)

_KNOWN: TypeAdapter[_Known] = TypeAdapter(_Known)


def parse_event(line: str | bytes) -> Event:
    """Read one line of ``events.jsonl``.

    Raises
    ------
    BadRun
        If it is no event.
    """
    try:
        return _KNOWN.validate_json(line)
    except ValidationError as error:
        unknown = error.errors(include_url=False)[0]["type"] == "union_tag_invalid"
    try:
        if unknown:
            return Unknown.model_validate_json(line)
    except ValidationError:
        pass  # what it calls its kind is no word
    raise BadRun(
        f"A line of the story cannot be read: {reprlib.repr(line)}",
        expected="one event, as a training writes it to events.jsonl",
        next_step="Restore events.jsonl, or move it away: checkpoints do not need it",
    )
