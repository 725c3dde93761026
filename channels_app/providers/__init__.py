"""One file for each messenger."""
