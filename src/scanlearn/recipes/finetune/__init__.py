"""Fine-tuning tasks: learning from a few labels."""
