"""Texture: a class at every place of the lungs."""
