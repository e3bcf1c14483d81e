"""Scores of what was found against the truth: numbers in, numbers out."""
