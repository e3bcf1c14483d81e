"""Learn from your own scans: pre-train, fine-tune with a few labels, look at the result."""

__version__ = "0.1.0"
