"""The body in a scan: lungs, frames, locations."""
