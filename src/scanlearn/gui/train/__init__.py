"""The Pre-train and Fine-tune docks and their parts."""
