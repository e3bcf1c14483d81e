"""Segmentation: a class for every voxel."""
