"""Template tags of the customer page and of channels."""
