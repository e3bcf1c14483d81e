"""Sections of a configuration that say what is learned, known by their names."""

from typing import Any

from scanlearn.config.base import Frozen

_SECTIONS: dict[str, type["RecipeConfig"]] = {}


class RecipeConfig(Frozen):
    """Settings of one pre-training method or task.

    A subclass gives ``name`` a default of its own, which is its name in files and
    commands. It can be read from files as soon as it is defined: the registries of
    methods and tasks import those that are installed.
    """

    name: str

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Note the name of a new section."""
        super().__pydantic_init_subclass__(**kwargs)
        _SECTIONS[cls.model_fields["name"].default] = cls


def section_named(name: object) -> type[RecipeConfig] | None:
    """Return the section of a name; None if nothing that is installed has it."""
    return _SECTIONS.get(name) if isinstance(name, str) else None
