"""Random views of batches: ``sample`` draws, ``apply`` is deterministic."""
