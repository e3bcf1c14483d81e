"""Linear models on frozen features: learned at once from few labels, and used."""
