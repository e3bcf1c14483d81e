"""Quality checks of scans, before a cohort is made and in one."""
