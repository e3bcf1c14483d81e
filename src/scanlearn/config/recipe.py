"""Sections of a configuration that say what is learned, known by their names."""

from typing import Any

from scanlearn.config.base import Frozen
from scanlearn.plugins import load_all

_SECTIONS: dict[str, type["RecipeConfig"]] = {}


class RecipeConfig(Frozen):
    """Settings of one pre-training method or task.

    A subclass gives ``name`` a default of its own, which is its name in files and
    commands. It can be read from files as soon as it is defined.

    Raises
    ------
    TypeError
        While a subclass is defined whose name another one has.
    """

    name: str

    @property
    def shared_sizes(self) -> tuple[int, ...]:
        """What is divided evenly among the processes of a training: its batches."""
        return (getattr(self, "batch", 1),)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Note the name of a new section."""
        super().__pydantic_init_subclass__(**kwargs)
        name = cls.model_fields["name"].default
        known = _SECTIONS.setdefault(name, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"{known.__module__} has settings named '{name}' already")
        _SECTIONS[name] = cls


def section_named(name: object) -> type[RecipeConfig] | None:
    """Return the section of a name; None if nothing that is installed has it."""
    if not isinstance(name, str):
        return None
    if name not in _SECTIONS:
        # Not one of ours: whoever opens a run need not have asked for packages before.
        for group in ("scanlearn.tasks", "scanlearn.methods"):
            load_all(group)
    return _SECTIONS.get(name)
