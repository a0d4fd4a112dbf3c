"""Unlabelled pictures to a CSV of class names."""
