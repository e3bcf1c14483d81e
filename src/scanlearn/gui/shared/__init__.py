"""What all docks share: the chosen scans and cohort, and what is known of the runs."""
