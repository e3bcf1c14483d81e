"""What every configuration model shares."""

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class Frozen(BaseModel):
    """A configuration: checked once at the door, never changed, no unknown keys.

    A section given in part keeps the rest of its default: ``optimiser.learning_rate``
    alone must not take a recipe's own warm-up away.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _complete_sections(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        complete = dict(data)
        for name, field in cls.model_fields.items():
            given = complete.get(name)
            if isinstance(given, dict) and isinstance(field.default, Frozen):
                complete[name] = field.default.model_dump() | given
        return complete
