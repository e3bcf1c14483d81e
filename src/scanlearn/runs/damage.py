"""What a list says of a run that cannot be read: a word and a sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scanlearn.errors import TooNew, of_the_world


@dataclass(frozen=True)
class Damage:
    """Why a run cannot be read.

    Parameters
    ----------
    word
        What stands in place of its state.
    sentence
        What was found, and what to do.
    """

    word: Literal["newer", "unreadable"]
    sentence: str


def damage(error: Exception) -> Damage:
    """Tell of an error that came up while a run was read.

    One damaged folder must not be the end of a list, so whoever lists runs takes every
    exception.
    """
    word: Literal["newer", "unreadable"] = (
        "newer" if isinstance(error, TooNew) else "unreadable"
    )
    return Damage(word, " ".join(str(of_the_world(error) or error).split()))
