"""Model cards: what a run is, told from its own folder and nothing else."""
