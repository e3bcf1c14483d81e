"""The training loop that trains every recipe, and its checkpoints."""
