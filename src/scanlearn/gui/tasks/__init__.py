"""What docks show of each task, a room each: gathering labels, telling results."""
