"""The report of a bake."""
