"""Which label maps belong to which scans, and what they say."""
