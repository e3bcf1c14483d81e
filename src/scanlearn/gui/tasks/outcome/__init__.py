"""Outcome in the docks."""
