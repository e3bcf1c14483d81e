"""Settings by their dotted names, as people compare them."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from scanlearn.config.run import RunConfig


def flat_settings(config: RunConfig) -> dict[str, object]:
    """Return the settings of a run, such as ``"recipe.optimiser.name"``, in order."""
    return dict(_flat("", config))


def differences(one: RunConfig, other: RunConfig) -> dict[str, tuple[str, str]]:
    """Return the settings that two runs have otherwise; ``–`` stands for none such."""
    mine, its = flat_settings(one), flat_settings(other)
    return {
        name: (_text(mine, name), _text(its, name))
        for name in dict.fromkeys([*mine, *its])
        if _text(mine, name) != _text(its, name)
    }


def _text(settings: dict[str, object], name: str) -> str:
    if name not in settings:
        return "–"
    value = settings[name]
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _flat(name: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, BaseModel):
        for field in type(value).model_fields:
            inner = f"{name}.{field}" if name else field
            yield from _flat(inner, getattr(value, field))
    elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
        for number, one in enumerate(value):
            yield from _flat(f"{name}[{number}]", one)
    else:
        yield name, value
