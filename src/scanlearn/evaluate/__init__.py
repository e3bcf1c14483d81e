"""How good a prediction is: metrics per class and patient."""
