"""A text becomes a score: languages, Comprehend in batches, stored scores, cost, key phrases."""
