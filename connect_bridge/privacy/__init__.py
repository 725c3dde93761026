"""A person's data: export, erasure, and how long each class of data is kept."""
