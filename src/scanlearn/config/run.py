"""The whole configuration of one run, as written to its folder."""

import reprlib
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import yaml
from pydantic import Field, SerializeAsAny, ValidationError, model_validator

from scanlearn.config.base import Frozen
from scanlearn.config.engine import EngineConfig
from scanlearn.config.recipe import RecipeConfig, section_named
from scanlearn.documents import parse_yaml, read_text
from scanlearn.errors import BadConfig, TooNew

FORMAT = 1

_CORRECT = "Correct it in the file or with -s key=value"

_Section = TypeVar("_Section", bound=RecipeConfig)


class RunConfig(Frozen):
    """One training: what is learned, from which cohorts, and how long."""

    format: Literal[1] = 1
    kind: Literal["pretrain", "finetune"]
    preset: str = ""
    recipe: SerializeAsAny[RecipeConfig]
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

    def section(self, kind: type[_Section]) -> _Section:
        """Return the settings of what is learned, as those of a method or task.

        Raises
        ------
        BadConfig
            If they are another's.
        """
        if not isinstance(self.recipe, kind):
            raise BadConfig(
                f"The settings are those of {self.recipe.name}",
                expected=f"{kind.model_fields['name'].default}",
                next_step="Choose another run",
            )
        return self.recipe


def parse_run_config(data: dict[str, Any]) -> RunConfig:
    """Check a configuration.

    Raises
    ------
    BadConfig
        It names the first wrong setting.
    TooNew
        If a newer version wrote it in a format that this one does not know.
    """
    _check_format(data.get("format"))
    try:
        return RunConfig.model_validate({**data, "recipe": _recipe(data)})
    except ValidationError as error:
        raise BadConfig(explain(error), next_step=_CORRECT) from None


def _check_format(found: object) -> None:
    if isinstance(found, int) and found > FORMAT:
        raise TooNew(
            f"The settings have format {found}",
            expected=f"format {FORMAT}, the newest that this version knows",
            next_step="Update napari-scanlearn to open it",
        )


def _recipe(data: dict[str, Any]) -> object:
    """Return the section of what is learned, checked as its name says."""
    given = data.get("recipe")
    if not isinstance(given, dict):
        return given
    kind = section_named(given.get("name"))
    if kind is None:
        raise BadConfig(
            f"There is no method or task '{given.get('name')}'",
            expected="one that is installed",
            next_step="Install the package that brings it, or correct 'recipe.name'",
        )
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        text = explain(error, inside="recipe")
        raise BadConfig(text, next_step=_CORRECT) from None


def explain(error: ValidationError, *, inside: str = "") -> str:
    """Say in one sentence what pydantic found wrong first.

    ``inside`` is the section that was checked, if not the whole.
    """
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in (inside, *first["loc"]) if part != "")
    value = reprlib.repr(first["input"])  # a whole section is more than a line
    found = f" (found {value})" if first["type"] != "missing" else ""
    message = first["msg"].removeprefix("Value error, ")
    return f"The setting '{key}' is not usable: {message}{found}"


def to_yaml(config: Frozen) -> str:
    """Write a configuration as YAML."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)


def load_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping, or say what is wrong with the file."""
    try:
        data = parse_yaml(read_text(path))
    except (OSError, ValueError) as error:
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
        try:
            value: Any = parse_yaml(text)
        except ValueError:
            raise BadConfig(
                f"The value of '{setting}' cannot be read",
                expected="a value as in YAML, such as 8, 0.5, true, null or [1, 2]",
            ) from None
        result = merge(result, nested(key.strip(), value))
    return result


def nested(key: str, value: Any) -> dict[str, Any]:
    """Turn ``"engine.steps"`` and a value into nested settings.

    A key whose first part is no section of a run belongs to the engine, if it has such
    a setting, else to the recipe.
    """
    parts = key.split(".")
    if parts[0] not in RunConfig.model_fields:
        section = "engine" if parts[0] in EngineConfig.model_fields else "recipe"
        parts.insert(0, section)
    for part in reversed(parts):
        value = {part: value}
    found: dict[str, Any] = value
    return found
