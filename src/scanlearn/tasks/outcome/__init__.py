"""Outcome: a number, a class or survival of each patient."""
