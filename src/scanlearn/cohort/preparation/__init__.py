"""From scans as they are found to a cohort."""
