"""Features of scans and places by any encoder or by hand, and linear models on them."""
