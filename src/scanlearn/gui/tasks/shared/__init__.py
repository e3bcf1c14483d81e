"""What the dock parts of tasks share."""
