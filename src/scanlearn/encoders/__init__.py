"""A trained encoder on disk, and the pixels and patches it is given."""
