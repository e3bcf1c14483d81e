"""What an encoder makes of scans without labels: vectors, maps, likeness, search."""
