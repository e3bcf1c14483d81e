"""A task and a pre-training method for napari-scanlearn, as an example."""
