"""A review: the targets measured, the recommendation, and its files."""
