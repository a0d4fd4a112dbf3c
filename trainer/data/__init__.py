"""Selects, streams and augments the records of a data set."""
