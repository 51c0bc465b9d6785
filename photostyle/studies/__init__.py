"""Studies: transfers side by side, what layers keep, what regions are found, and every number of a result."""
