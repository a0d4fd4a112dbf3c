"""The measurements behind every claim of the documentation."""
