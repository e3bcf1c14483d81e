"""How a method or a task is offered, in a command's help and in a dock."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from scanlearn.config.engine import EngineConfig
from scanlearn.config.recipe import RecipeConfig
from scanlearn.config.run import merge
from scanlearn.errors import BadConfig

#: The preset of a task that looks at the scans and their labels first.
PLANNED = "planned"


@dataclass(frozen=True)
class Offer:
    """What is said of a method or a task before it is chosen.

    Parameters
    ----------
    title, about
        A line, and a sentence below it.
    short
        Its name where there is little room.
    config
        Its section of a configuration.
    presets
        Values laid over the defaults of the section and of the engine, by name.
    settings
        Which settings a dock offers, such as ``"engine.steps"``.

    Raises
    ------
    BadConfig
        If it has no preset, or offers a setting that is not there.
    """

    title: str
    about: str
    short: str
    config: type[RecipeConfig]
    presets: Mapping[str, Mapping[str, Any]]
    settings: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name in files and commands."""
        return str(self.config.model_fields["name"].default)

    def __post_init__(self) -> None:
        if not self.presets:
            raise BadConfig(f"{self.name} has no preset", expected="at least one")
        for key in self.settings:
            self.field(key)

    def field(self, key: str) -> FieldInfo:
        """Return what is said of a setting, such as ``"recipe.landmarks.atlas"``.

        Raises
        ------
        BadConfig
            If there is no such setting.
        """
        section, *parts, name = key.split(".")
        model: Any = EngineConfig if section == "engine" else self.config
        for part in parts:
            model = _fields(model).get(part, FieldInfo()).annotation
        if name not in _fields(model):
            raise BadConfig(
                f"{self.name} has no setting '{key}'",
                expected="engine.NAME, or recipe.NAME of its own section",
            )
        return _fields(model)[name]

    @property
    def usual(self) -> str:
        """The preset of who names none: planned, standard, or else the first."""
        named = (name for name in (PLANNED, "standard") if name in self.presets)
        return next(named, next(iter(self.presets)))

    def preset(self, name: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Return the settings of a preset with a user's changes laid over it.

        Without a name it is the :attr:`usual` one.

        Raises
        ------
        BadConfig
            If there is no such preset.
        """
        name = name or self.usual
        if name not in self.presets:
            raise BadConfig(
                f"There is no preset '{name}' for {self.name}",
                expected=", ".join(self.presets),
                next_step="Choose one of these",
            )
        base: dict[str, Any] = {"recipe": {"name": self.name}, "preset": name}
        base = merge(base, dict(self.presets[name]))
        asked = changes.get("engine", {})
        if "steps" in asked and "passes" not in asked:
            # Whoever names steps gets them, however many passes they are.
            base = merge(base, {"engine": {"passes": None, "rounds": 1}})
        return merge(base, changes)


def _fields(model: Any) -> dict[str, FieldInfo]:
    """Return the fields of a section; none of what is no section."""
    is_section = isinstance(model, type) and issubclass(model, BaseModel)
    return model.model_fields if is_section else {}
