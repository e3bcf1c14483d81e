"""Label maps, segmentations and contours, in and out."""
