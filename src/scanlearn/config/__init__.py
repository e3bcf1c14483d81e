"""Configurations: frozen models that everything else is told by."""

from scanlearn.config.run import RunConfig

__all__ = ["RunConfig"]
