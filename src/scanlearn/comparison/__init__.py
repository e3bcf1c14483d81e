"""Was pre-training worth it? The same training with and without, and a verdict."""
