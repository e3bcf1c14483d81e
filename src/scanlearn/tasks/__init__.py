"""Fine-tuning tasks, a room each: what is learned from a few labels."""
