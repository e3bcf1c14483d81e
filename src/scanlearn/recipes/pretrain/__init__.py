"""Pre-training methods: learning from scans without labels."""
