"""Where an atlas lies in the scans of a cohort, and how well."""
