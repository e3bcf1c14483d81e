"""Detection: spheres in volumes, boxes on radiographs."""
