"""The Runs dock and its parts."""
