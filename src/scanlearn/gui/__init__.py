"""Docks, readers and writers of the napari plugin; nothing here trains."""
