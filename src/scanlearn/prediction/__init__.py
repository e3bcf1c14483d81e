"""Using what was learned: predictions on whole scans, in the source grid."""
