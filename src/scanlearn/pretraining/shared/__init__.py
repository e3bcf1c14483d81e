"""What pre-training methods share."""
