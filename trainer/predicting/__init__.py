"""Predicts the classes of unlabelled pictures."""
