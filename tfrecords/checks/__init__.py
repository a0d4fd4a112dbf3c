"""The invariants of a data set on disk, each a function that returns what breaks it."""
