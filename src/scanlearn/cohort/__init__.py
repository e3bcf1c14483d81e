"""Cohorts: prepared scans with a catalogue, never the raw files."""
