"""Zips and tars: what they hold, in whatever state they are, and where each member is read."""
