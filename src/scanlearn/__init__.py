"""Learn from your own scans: pre-train, fine-tune with a few labels, look at it."""

__version__ = "0.1.0"
