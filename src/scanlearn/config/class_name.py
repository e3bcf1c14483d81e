"""The name of a class: what stands in tables, pictures and menus."""

from typing import Annotated

from pydantic import AfterValidator

from scanlearn.letters import hidden_letter


def _visible(name: str) -> str:
    hidden = hidden_letter(name)
    if hidden:
        raise ValueError(f"a name must not hold {hidden}, which is not seen")
    return name


#: A name without control characters and marks that turn the direction of text.
ClassName = Annotated[str, AfterValidator(_visible)]
