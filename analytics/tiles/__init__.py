"""The tiles of a dashboard, each declared beside the function that computes it, and their charts."""
