"""Tables of labels in, tables of results out."""
