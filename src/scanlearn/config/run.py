"""The whole configuration of one run, as written to its folder."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from scanlearn.config.base import Frozen
from scanlearn.config.classification import ClassificationConfig
from scanlearn.config.detection import DetectionConfig
from scanlearn.config.drasclr import DrasclrConfig
from scanlearn.config.engine import EngineConfig
from scanlearn.config.joint import JointConfig
from scanlearn.config.outcome import OutcomeConfig
from scanlearn.config.segmentation import SegmentationConfig
from scanlearn.config.texture import TextureConfig
from scanlearn.errors import BadConfig

RecipeConfig = Annotated[
    DrasclrConfig
    | JointConfig
    | SegmentationConfig
    | DetectionConfig
    | TextureConfig
    | ClassificationConfig
    | OutcomeConfig,
    Field(discriminator="name"),
]


class RunConfig(Frozen):
    """One training: what is learned, from which cohorts, and how long."""

    format: Literal[1] = 1
    kind: Literal["pretrain", "finetune"]
    preset: str = ""
    recipe: RecipeConfig
    engine: EngineConfig = EngineConfig()
    cohorts: tuple[Path, ...] = ()
    start_from: Path | None = Field(
        default=None, description="The run whose encoder is taken over"
    )
    imported: str | None = Field(
        default=None, description="Whose released weights it holds, if not trained here"
    )

    @model_validator(mode="after")
    def _something_to_learn_from(self) -> Self:
        if not self.cohorts and self.imported is None:
            raise ValueError("a training needs at least one cohort")
        return self


def parse_run_config(data: dict[str, Any]) -> RunConfig:
    """Check a configuration; a :class:`BadConfig` names the first wrong setting."""
    try:
        return RunConfig.model_validate(data)
    except ValidationError as error:
        raise BadConfig(
            explain(error), next_step="Correct it in the file or with -s key=value"
        ) from None


def explain(error: ValidationError) -> str:
    """Say in one sentence what pydantic found wrong first."""
    first = error.errors(include_url=False)[0]
    # The tag of the recipe's union is no part of the key that a user writes.
    tags = {
        *("drasclr", "joint", "segmentation", "detection", "texture"),
        *("classification", "outcome"),
    }
    key = ".".join(str(part) for part in first["loc"] if part not in tags)
    found = f" (found {first['input']!r})" if first["type"] != "missing" else ""
    message = first["msg"].removeprefix("Value error, ")
    return f"The setting '{key}' is not usable: {message}{found}"


def to_yaml(config: Frozen) -> str:
    """Write a configuration as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping, or say what is wrong with the file."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadConfig(f"{path} cannot be read as YAML: {error}") from None
    if not isinstance(data, dict):
        raise BadConfig(f"{path} holds no settings", expected="a mapping of keys")
    return data


def merge(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Return ``base`` with nested ``changes`` laid over it."""
    merged = dict(base)
    for key, value in changes.items():
        below = merged.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = merge(below, value) if both and below is not None else value
    return merged


def parse_settings(settings: list[str]) -> dict[str, Any]:
    """Turn ``["engine.steps=100"]`` into nested settings; values are read as YAML.

    A key whose first part is no section of a run belongs to the recipe, so
    ``temperature=0.1`` means ``recipe.temperature=0.1``.
    """
    result: dict[str, Any] = {}
    for setting in settings:
        key, separator, text = setting.partition("=")
        if not separator or not key.strip():
            raise BadConfig(f"'{setting}' is no setting", expected="key=value")
        parts = key.strip().split(".")
        if parts[0] not in RunConfig.model_fields:
            section = "engine" if parts[0] in EngineConfig.model_fields else "recipe"
            parts.insert(0, section)
        try:
            value: Any = yaml.safe_load(text)
        except yaml.YAMLError:
            raise BadConfig(
                f"The value of '{setting}' cannot be read",
                expected="a value as in YAML, such as 8, 0.5, true, null or [1, 2]",
            ) from None
        for part in reversed(parts):
            value = {part: value}
        result = merge(result, value)
    return result
