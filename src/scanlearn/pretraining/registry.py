"""Which pre-training methods there are: ours, and those that other packages bring.

The doors look a method up here and hand it down. Another package adds its own with an
entry point in the group ``scanlearn.methods`` that names a class or an instance of
:class:`scanlearn.pretraining.method.Method` (docs/adding.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from scanlearn.config.run import RunConfig
from scanlearn.errors import BadConfig, BadRun
from scanlearn.plugins import with_brought
from scanlearn.pretraining.drasclr import DrasclrMethod
from scanlearn.pretraining.joint import JointMethod
from scanlearn.pretraining.method import Method


@cache
def all_methods() -> Mapping[str, Method]:
    """Return the methods by name, in the order in which they are offered."""
    own: list[Method] = [DrasclrMethod(), JointMethod()]
    return with_brought(own, "scanlearn.methods", Method)


def method_named(name: str) -> Method:
    """Return a method, or say which there are."""
    found = all_methods().get(name)
    if found is None:
        raise BadConfig(
            f"There is no pre-training method '{name}'",
            expected=", ".join(all_methods()),
            next_step="Choose one of these",
        )
    return found


def method_of(config: RunConfig) -> Method:
    """Return the method of a pre-training.

    Raises
    ------
    BadRun
        If it is a fine-tuning.
    """
    found = all_methods().get(config.recipe.name)
    if found is None:
        raise BadRun(
            f"This is a fine-tuning ({config.recipe.name}), no pre-training",
            expected="a run made by 'scanlearn pretrain'",
        )
    return found
