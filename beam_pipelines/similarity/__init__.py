"""Duplicates, near-duplicates, clusters by appearance, and the leak meter."""
