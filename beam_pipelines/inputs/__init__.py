"""The sources of a bake: how they are listed and read."""
