"""Trained networks of this and of other recipes, judged on the same test splits."""
