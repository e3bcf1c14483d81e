"""What every configuration model shares."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A configuration: checked once at the door, never changed, no unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")
