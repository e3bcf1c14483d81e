"""Classification in the docks."""
