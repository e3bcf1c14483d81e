"""Recipes: how one thing is learned. A new one is a file and a line in the registry."""
