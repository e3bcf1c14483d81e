"""How a method or a task is offered, in a command's help and in a dock."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scanlearn.config.recipe import RecipeConfig
from scanlearn.config.run import merge
from scanlearn.errors import BadConfig


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

    def preset(self, name: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Return the settings of a preset with a user's changes laid over it.

        Raises
        ------
        BadConfig
            If there is no such preset.
        """
        if name not in self.presets:
            raise BadConfig(
                f"There is no preset '{name}' for {self.name}",
                expected=", ".join(self.presets),
                next_step="Choose one of these",
            )
        base = {"recipe": {"name": self.name}, "preset": name}
        return merge(merge(base, dict(self.presets[name])), changes)
