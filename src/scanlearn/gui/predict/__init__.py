"""The Predict dock and its parts."""
