"""Scans, labels and results as napari layers; readers, writers and samples."""
