"""Segmentation in the docks."""
