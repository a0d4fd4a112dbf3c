"""Rules of a bake's flags: how each is read, which go together, which determine bytes."""
