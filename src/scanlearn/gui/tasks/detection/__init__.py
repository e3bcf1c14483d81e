"""Detection in the docks."""
