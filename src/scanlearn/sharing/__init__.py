"""A run to give away: its model and settings without places, machines and people."""
