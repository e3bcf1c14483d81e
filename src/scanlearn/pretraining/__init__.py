"""Pre-training methods, a room each: learning from scans without labels."""
