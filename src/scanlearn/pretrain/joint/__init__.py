"""Joint 2D/3D pre-training (Nguyen et al., AAAI 2023)."""
