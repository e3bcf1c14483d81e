"""The Scans dock and its parts."""
