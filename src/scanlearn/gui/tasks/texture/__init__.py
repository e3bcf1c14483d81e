"""Texture in the docks."""
