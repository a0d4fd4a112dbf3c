"""The first name of `python -m evenshard.springfield_like`."""
