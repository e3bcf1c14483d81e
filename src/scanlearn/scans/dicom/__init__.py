"""DICOM: slices told apart and put in order, voxels exact."""
